// Four lanes of NEON: half of a chunk's eight ring elements in one register.
// Included inside the instruction set's own namespace by targets/neon.cpp.

struct Lanes {
  using Word = uint32x4_t;
  static constexpr size_t kCount = 4;

  static Word load(const uint32_t* from) { return vld1q_u32(from); }
  static void store(uint32_t* to, Word x) { vst1q_u32(to, x); }
  // A register that spans two chunks has a half in each; this one does not.
  static Word load_halves(const uint32_t* low, const uint32_t*) { return load(low); }
  static void store_halves(uint32_t* low, uint32_t*, Word x) { store(low, x); }
  static Word broadcast(uint32_t x) { return vdupq_n_u32(x); }
  static Word iota(uint32_t first) {
    const uint32_t steps[4] = {0, 1, 2, 3};
    return vaddq_u32(broadcast(first), vld1q_u32(steps));
  }

  static Word add(Word a, Word b) { return vaddq_u32(a, b); }
  static Word sub(Word a, Word b) { return vsubq_u32(a, b); }
  static Word bit_and(Word a, Word b) { return vandq_u32(a, b); }
  static Word bit_or(Word a, Word b) { return vorrq_u32(a, b); }
  static Word bit_xor(Word a, Word b) { return veorq_u32(a, b); }
  // NEON shifts by a signed count in a register; a constant count folds to the immediate form.
  static Word shift_left(Word a, int count) { return vshlq_u32(a, vdupq_n_s32(count)); }
  static Word shift_right(Word a, int count) { return vshlq_u32(a, vdupq_n_s32(-count)); }
  static Word shift_right_signed(Word a, int count) {
    return vreinterpretq_u32_s32(vshlq_s32(vreinterpretq_s32_u32(a), vdupq_n_s32(-count)));
  }
  template <int kBits>
  static Word rotate_left(Word a) {
    if constexpr (kBits == 16) {
      return vreinterpretq_u32_u16(vrev32q_u16(vreinterpretq_u16_u32(a)));
    } else {
      return vsriq_n_u32(vshlq_n_u32(a, kBits), a, 32 - kBits);
    }
  }
  static Word mul_low(Word a, Word b) { return vmulq_u32(a, b); }
  static Word mul_high(Word a, Word b) {
    const uint64x2_t low = vmull_u32(vget_low_u32(a), vget_low_u32(b));
    const uint64x2_t high = vmull_high_u32(a, b);
    return vuzp2q_u32(vreinterpretq_u32_u64(low), vreinterpretq_u32_u64(high));
  }
  static Word greater_signed(Word a, Word b) {
    return vcgtq_s32(vreinterpretq_s32_u32(a), vreinterpretq_s32_u32(b));
  }
  static Word reduce(Word x, Word modulus) { return vminq_u32(x, vsubq_u32(x, modulus)); }
  static Word max_unsigned(Word a, Word b) { return vmaxq_u32(a, b); }
  static Word absolute(Word a) { return vreinterpretq_u32_s32(vabsq_s32(vreinterpretq_s32_u32(a))); }

  using Squares = int64x2_t;
  static Squares no_squares() { return vdupq_n_s64(0); }
  static Squares add_square(Squares sum, Word a) {
    const int32x4_t value = vreinterpretq_s32_u32(a);
    sum = vmlal_s32(sum, vget_low_s32(value), vget_low_s32(value));
    return vmlal_high_s32(sum, value, value);
  }
  static uint64_t total(Squares sum) { return static_cast<uint64_t>(vaddvq_s64(sum)); }
};
