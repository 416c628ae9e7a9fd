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

  // Floats. No fused multiply-adds anywhere, and minimum and maximum as the comparison says it, so that every
  // instruction set gives the same bits.
  using Float = float;
  static Float load_float(const float* from) { return *from; }
  static void store_float(float* to, Float x) { *to = x; }
  static Float broadcast_float(float x) { return x; }
  static Word as_word(Float x) {
    Word bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
  }
  static Float as_float(Word bits) {
    Float x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
  }
  static Float add_float(Float a, Float b) { return a + b; }
  static Float sub_float(Float a, Float b) { return a - b; }
  static Float mul_float(Float a, Float b) { return a * b; }
  // a < b ? a : b and a > b ? a : b: b where either is not a number.
  static Float min_float(Float a, Float b) { return choose(a < b, a, b); }
  static Float max_float(Float a, Float b) { return choose(a > b, a, b); }
  // Downwards to an integer. Beyond +-2^21 only sign and "at least 2^21 in magnitude" hold: nothing here
  // calls a library, whose code may branch.
  static Float floor_float(Float a) {
    const Float bounded = min_float(max_float(a, -2097152.0f), 2097152.0f);
    const int32_t truncated = static_cast<int32_t>(bounded);
    return static_cast<Float>(truncated - static_cast<int32_t>(static_cast<Float>(truncated) > bounded));
  }
  // All ones where a != b, or where either is not a number.
  static Word differ_float(Float a, Float b) { return 0u - static_cast<uint32_t>(a != b); }
  // From and to signed integers; to_integer takes integers within +-2^30.
  static Float to_float(Word a) { return static_cast<Float>(static_cast<int32_t>(a)); }
  static Word to_integer(Float a) { return static_cast<uint32_t>(static_cast<int32_t>(a)); }
  // a^2 for |a| < 2^15.
  static Word small_square(Word a) { return a * a; }
  // (a, b) -> (a + b, a - b) for lanes kStride apart; a single lane has none.
  template <size_t kStride>
  static Float butterfly_lanes(Float x) {
    return x;
  }

  // Sums of squares of floats, a double for each lane; the squares are exact.
  using DoubleSquares = double;
  static DoubleSquares no_double_squares() { return 0; }
  static DoubleSquares add_double_square(DoubleSquares sum, Float x) {
    return sum + static_cast<double>(x) * static_cast<double>(x);
  }
  static void store_doubles(double* to, DoubleSquares sum) { *to = sum; }

  // A word's lanes widened to 64 bits, of which 63 are used.
  using Wide = uint64_t;
  static Wide join(Word low, Word high) { return static_cast<uint64_t>(high) << 32 | low; }
  // A count for each lane; `counted` gives it as a word.
  using Count = uint64_t;
  static Count no_count() { return 0; }
  // count - 1 where threshold > x, both below 2^63.
  static Count count_down(Count count, uint64_t threshold, Wide x) {
    return count - static_cast<uint64_t>(threshold > x);
  }
  static Word counted(Count count) { return static_cast<uint32_t>(count); }

 private:
  static Float choose(bool first, Float a, Float b) {
    const Word mask = 0u - static_cast<uint32_t>(first);
    return as_float((as_word(a) & mask) | (as_word(b) & ~mask));
  }
};
