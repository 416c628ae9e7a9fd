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

  using Float = float32x4_t;
  static Float load_float(const float* from) { return vld1q_f32(from); }
  static void store_float(float* to, Float x) { vst1q_f32(to, x); }
  static Float broadcast_float(float x) { return vdupq_n_f32(x); }
  static Word as_word(Float x) { return vreinterpretq_u32_f32(x); }
  static Float as_float(Word bits) { return vreinterpretq_f32_u32(bits); }
  static Float add_float(Float a, Float b) { return vaddq_f32(a, b); }
  static Float sub_float(Float a, Float b) { return vsubq_f32(a, b); }
  static Float mul_float(Float a, Float b) { return vmulq_f32(a, b); }
  // Selected by comparison: the instructions vmin and vmax treat what is not a number as the others do not.
  static Float min_float(Float a, Float b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
  static Float max_float(Float a, Float b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
  static Float floor_float(Float a) { return vrndmq_f32(a); }
  static Word differ_float(Float a, Float b) { return vmvnq_u32(vceqq_f32(a, b)); }
  static Float to_float(Word a) { return vcvtq_f32_s32(vreinterpretq_s32_u32(a)); }
  static Word to_integer(Float a) { return vreinterpretq_u32_s32(vcvtq_s32_f32(a)); }
  static Word small_square(Word a) { return vmulq_u32(a, a); }
  template <size_t kStride>
  static Float butterfly_lanes(Float x) {
    const uint32_t minus_odd[4] = {0, 0x80000000, 0, 0x80000000};
    const uint32_t minus_upper[4] = {0, 0, 0x80000000, 0x80000000};
    const Float swapped = kStride == 1 ? vrev64q_f32(x) : vextq_f32(x, x, 2);
    const Word minus = vld1q_u32(kStride == 1 ? minus_odd : minus_upper);
    return vaddq_f32(swapped, as_float(veorq_u32(as_word(x), minus)));
  }

  struct DoubleSquares {
    float64x2_t low;
    float64x2_t high;
  };
  static DoubleSquares no_double_squares() { return {vdupq_n_f64(0), vdupq_n_f64(0)}; }
  static DoubleSquares add_double_square(DoubleSquares sum, Float x) {
    const float64x2_t low = vcvt_f64_f32(vget_low_f32(x));
    const float64x2_t high = vcvt_high_f64_f32(x);
    return {vaddq_f64(sum.low, vmulq_f64(low, low)), vaddq_f64(sum.high, vmulq_f64(high, high))};
  }
  static void store_doubles(double* to, DoubleSquares sum) {
    vst1q_f64(to, sum.low);
    vst1q_f64(to + 2, sum.high);
  }

  struct Wide {
    uint64x2_t low;
    uint64x2_t high;
  };
  static Wide join(Word low, Word high) {
    return {vreinterpretq_u64_u32(vzip1q_u32(low, high)), vreinterpretq_u64_u32(vzip2q_u32(low, high))};
  }
  using Count = Wide;
  static Count no_count() { return {vdupq_n_u64(0), vdupq_n_u64(0)}; }
  static Count count_down(Count count, uint64_t threshold, Wide x) {
    const uint64x2_t t = vdupq_n_u64(threshold);
    return {vaddq_u64(count.low, vcgtq_u64(t, x.low)), vaddq_u64(count.high, vcgtq_u64(t, x.high))};
  }
  static Word counted(Count x) {
    return vuzp1q_u32(vreinterpretq_u32_u64(x.low), vreinterpretq_u32_u64(x.high));
  }
};
