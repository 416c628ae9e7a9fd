// One lane: the truth every other instruction set is checked against. Branch-free, like the others.
// Included inside the instruction set's own namespace by targets/scalar.cpp.

struct Lanes {
  using Word = uint32_t;
  static constexpr size_t kCount = 1;

  static Word load(const uint32_t* from) { return *from; }
  static void store(uint32_t* to, Word x) { *to = x; }
  // A register that spans two chunks has a half in each; this one does not.
  static Word load_halves(const uint32_t* low, const uint32_t*) { return load(low); }
  static void store_halves(uint32_t* low, uint32_t*, Word x) { store(low, x); }
  static Word broadcast(uint32_t x) { return x; }
  // Lane l holds first + l.
  static Word iota(uint32_t first) { return first; }

  static Word add(Word a, Word b) { return a + b; }
  static Word sub(Word a, Word b) { return a - b; }
  static Word bit_and(Word a, Word b) { return a & b; }
  static Word bit_or(Word a, Word b) { return a | b; }
  static Word bit_xor(Word a, Word b) { return a ^ b; }
  static Word shift_left(Word a, int count) { return a << count; }
  static Word shift_right(Word a, int count) { return a >> count; }
  static Word shift_right_signed(Word a, int count) {
    return static_cast<uint32_t>(static_cast<int32_t>(a) >> count);
  }
  template <int kBits>
  static Word rotate_left(Word a) {
    return (a << kBits) | (a >> (32 - kBits));
  }
  static Word mul_low(Word a, Word b) { return a * b; }
  static Word mul_high(Word a, Word b) { return static_cast<uint32_t>((static_cast<uint64_t>(a) * b) >> 32); }
  // All ones where a > b as signed integers; |a - b| < 2^31.
  static Word greater_signed(Word a, Word b) {
    return static_cast<uint32_t>(static_cast<int32_t>(b - a) >> 31);
  }
  // x >= modulus ? x - modulus : x, unsigned.
  static Word reduce(Word x, Word modulus) { return reduce_once(x, modulus); }
  static Word max_unsigned(Word a, Word b) { return larger_of(a, b); }
  static Word absolute(Word a) { return absolute_of(a); }

  // Sums of squares of signed lanes, 64 bits wide.
  using Squares = uint64_t;
  static Squares no_squares() { return 0; }
  static Squares add_square(Squares sum, Word a) {
    const int64_t value = static_cast<int32_t>(a);
    return sum + static_cast<uint64_t>(value * value);
  }
  static uint64_t total(Squares sum) { return sum; }
};
