// Sixteen lanes of AVX-512F: two chunks of eight ring elements in one register.
// Included inside the instruction set's own namespace, within the target region, by targets/avx512.cpp.

struct Lanes {
  using Word = __m512i;
  static constexpr size_t kCount = 16;

  static Word load(const uint32_t* from) { return _mm512_loadu_si512(from); }
  static void store(uint32_t* to, Word x) { _mm512_storeu_si512(to, x); }
  // Lanes 0..7 and 8..15 from and to two places: the same row of two chunks.
  static Word load_halves(const uint32_t* low, const uint32_t* high) {
    return _mm512_inserti64x4(
        _mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(low))),
        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(high)), 1);
  }
  static void store_halves(uint32_t* low, uint32_t* high, Word x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(low), _mm512_castsi512_si256(x));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(high), _mm512_extracti64x4_epi64(x, 1));
  }
  static Word broadcast(uint32_t x) { return _mm512_set1_epi32(static_cast<int>(x)); }
  static Word iota(uint32_t first) {
    return _mm512_add_epi32(broadcast(first),
                            _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  }

  static Word add(Word a, Word b) { return _mm512_add_epi32(a, b); }
  static Word sub(Word a, Word b) { return _mm512_sub_epi32(a, b); }
  static Word bit_and(Word a, Word b) { return _mm512_and_si512(a, b); }
  static Word bit_or(Word a, Word b) { return _mm512_or_si512(a, b); }
  static Word bit_xor(Word a, Word b) { return _mm512_xor_si512(a, b); }
  static Word shift_left(Word a, int count) { return _mm512_slli_epi32(a, static_cast<unsigned>(count)); }
  static Word shift_right(Word a, int count) { return _mm512_srli_epi32(a, static_cast<unsigned>(count)); }
  static Word shift_right_signed(Word a, int count) {
    return _mm512_srai_epi32(a, static_cast<unsigned>(count));
  }
  template <int kBits>
  static Word rotate_left(Word a) {
    return _mm512_rol_epi32(a, kBits);
  }
  static Word mul_low(Word a, Word b) { return _mm512_mullo_epi32(a, b); }
  static Word mul_high(Word a, Word b) {
    const Word even = _mm512_mul_epu32(a, b);
    const Word odd = _mm512_mul_epu32(move_odd_down(a), move_odd_down(b));
    return _mm512_mask_mov_epi32(move_odd_down(even), 0xaaaa, odd);
  }
  static Word greater_signed(Word a, Word b) {
    return _mm512_maskz_set1_epi32(_mm512_cmpgt_epi32_mask(a, b), -1);
  }
  static Word reduce(Word x, Word modulus) { return _mm512_min_epu32(x, _mm512_sub_epi32(x, modulus)); }
  static Word max_unsigned(Word a, Word b) { return _mm512_max_epu32(a, b); }
  static Word absolute(Word a) { return _mm512_abs_epi32(a); }

  using Squares = Word;
  static Squares no_squares() { return _mm512_setzero_si512(); }
  static Squares add_square(Squares sum, Word a) {
    const Word odd = move_odd_down(a);
    return _mm512_add_epi64(sum, _mm512_add_epi64(_mm512_mul_epi32(a, a), _mm512_mul_epi32(odd, odd)));
  }
  static uint64_t total(Squares sum) {
    alignas(64) uint64_t parts[8];
    _mm512_store_si512(parts, sum);
    uint64_t result = 0;
    for (uint64_t part : parts) result += part;
    return result;
  }

  using Float = __m512;
  static Float load_float(const float* from) { return _mm512_loadu_ps(from); }
  static void store_float(float* to, Float x) { _mm512_storeu_ps(to, x); }
  static Float broadcast_float(float x) { return _mm512_set1_ps(x); }
  static Word as_word(Float x) { return _mm512_castps_si512(x); }
  static Float as_float(Word bits) { return _mm512_castsi512_ps(bits); }
  static Float add_float(Float a, Float b) { return _mm512_add_ps(a, b); }
  static Float sub_float(Float a, Float b) { return _mm512_sub_ps(a, b); }
  static Float mul_float(Float a, Float b) { return _mm512_mul_ps(a, b); }
  static Float min_float(Float a, Float b) { return _mm512_min_ps(a, b); }
  static Float max_float(Float a, Float b) { return _mm512_max_ps(a, b); }
  static Float floor_float(Float a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  }
  static Word differ_float(Float a, Float b) {
    return _mm512_maskz_set1_epi32(_mm512_cmp_ps_mask(a, b, _CMP_NEQ_UQ), -1);
  }
  static Float to_float(Word a) { return _mm512_cvtepi32_ps(a); }
  static Word to_integer(Float a) { return _mm512_cvttps_epi32(a); }
  static Word small_square(Word a) { return _mm512_madd_epi16(a, _mm512_and_si512(a, broadcast(0xffff))); }
  template <size_t kStride>
  static Float butterfly_lanes(Float x) {
    Float swapped;
    if constexpr (kStride < 4) {
      swapped = _mm512_permute_ps(x, kStride == 1 ? 0xb1 : 0x4e);
    } else {
      swapped = _mm512_shuffle_f32x4(x, x, kStride == 4 ? 0xb1 : 0x4e);
    }
    constexpr __mmask16 kUpper = kStride == 1   ? 0xaaaa
                                 : kStride == 2 ? 0xcccc
                                 : kStride == 4 ? 0xf0f0
                                                : 0xff00;
    return _mm512_mask_sub_ps(_mm512_add_ps(swapped, x), kUpper, swapped, x);
  }

  struct DoubleSquares {
    __m512d low;
    __m512d high;
  };
  static DoubleSquares no_double_squares() { return {_mm512_setzero_pd(), _mm512_setzero_pd()}; }
  static DoubleSquares add_double_square(DoubleSquares sum, Float x) {
    const __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(x));
    const __m512d high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1));
    return {_mm512_add_pd(sum.low, _mm512_mul_pd(low, low)),
            _mm512_add_pd(sum.high, _mm512_mul_pd(high, high))};
  }
  static void store_doubles(double* to, DoubleSquares sum) {
    _mm512_storeu_pd(to, sum.low);
    _mm512_storeu_pd(to + 8, sum.high);
  }

  struct Wide {
    Word even;  // lanes 0, 1, 4, 5, 8, 9, 12, 13
    Word odd;   // the others
  };
  static Wide join(Word low, Word high) {
    return {_mm512_unpacklo_epi32(low, high), _mm512_unpackhi_epi32(low, high)};
  }
  using Count = Wide;
  static Count no_count() { return {_mm512_setzero_si512(), _mm512_setzero_si512()}; }
  static Count count_down(Count count, uint64_t threshold, Wide x) {
    const Word t = _mm512_set1_epi64(static_cast<int64_t>(threshold));
    const Word one = _mm512_set1_epi64(1);
    return {_mm512_mask_sub_epi64(count.even, _mm512_cmpgt_epi64_mask(t, x.even), count.even, one),
            _mm512_mask_sub_epi64(count.odd, _mm512_cmpgt_epi64_mask(t, x.odd), count.odd, one)};
  }
  static Word counted(Count x) {
    return _mm512_castps_si512(
        _mm512_shuffle_ps(_mm512_castsi512_ps(x.even), _mm512_castsi512_ps(x.odd), 0x88));
  }

 private:
  static Word move_odd_down(Word a) { return _mm512_shuffle_epi32(a, _MM_PERM_DDBB); }
};
