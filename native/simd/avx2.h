// Eight lanes of AVX2: one chunk's eight ring elements in one register.
// Included inside the instruction set's own namespace, within the target region, by targets/avx2.cpp.

struct Lanes {
  using Word = __m256i;
  static constexpr size_t kCount = 8;

  static Word load(const uint32_t* from) { return _mm256_loadu_si256(reinterpret_cast<const Word*>(from)); }
  static void store(uint32_t* to, Word x) { _mm256_storeu_si256(reinterpret_cast<Word*>(to), x); }
  // A register that spans two chunks has a half in each; this one does not.
  static Word load_halves(const uint32_t* low, const uint32_t*) { return load(low); }
  static void store_halves(uint32_t* low, uint32_t*, Word x) { store(low, x); }
  static Word broadcast(uint32_t x) { return _mm256_set1_epi32(static_cast<int>(x)); }
  static Word iota(uint32_t first) {
    return _mm256_add_epi32(broadcast(first), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }

  static Word add(Word a, Word b) { return _mm256_add_epi32(a, b); }
  static Word sub(Word a, Word b) { return _mm256_sub_epi32(a, b); }
  static Word bit_and(Word a, Word b) { return _mm256_and_si256(a, b); }
  static Word bit_or(Word a, Word b) { return _mm256_or_si256(a, b); }
  static Word bit_xor(Word a, Word b) { return _mm256_xor_si256(a, b); }
  static Word shift_left(Word a, int count) { return _mm256_slli_epi32(a, count); }
  static Word shift_right(Word a, int count) { return _mm256_srli_epi32(a, count); }
  static Word shift_right_signed(Word a, int count) { return _mm256_srai_epi32(a, count); }
  template <int kBits>
  static Word rotate_left(Word a) {
    // Whole bytes move by one shuffle; other counts cost two shifts.
    if constexpr (kBits == 16) {
      return _mm256_shuffle_epi8(a, _mm256_setr_epi8(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13, 2,
                                                     3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13));
    } else if constexpr (kBits == 8) {
      return _mm256_shuffle_epi8(a, _mm256_setr_epi8(3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14, 3,
                                                     0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14));
    } else {
      return _mm256_or_si256(_mm256_slli_epi32(a, kBits), _mm256_srli_epi32(a, 32 - kBits));
    }
  }
  static Word mul_low(Word a, Word b) { return _mm256_mullo_epi32(a, b); }
  static Word mul_high(Word a, Word b) {
    // 32 x 32 -> 64 exists for even lanes only: odd lanes are moved down, and the two halves blended.
    const Word even = _mm256_mul_epu32(a, b);
    const Word odd = _mm256_mul_epu32(move_odd_down(a), move_odd_down(b));
    return _mm256_blend_epi32(move_odd_down(even), odd, 0xaa);
  }
  static Word greater_signed(Word a, Word b) { return _mm256_cmpgt_epi32(a, b); }
  static Word reduce(Word x, Word modulus) { return _mm256_min_epu32(x, _mm256_sub_epi32(x, modulus)); }
  static Word max_unsigned(Word a, Word b) { return _mm256_max_epu32(a, b); }
  static Word absolute(Word a) { return _mm256_abs_epi32(a); }

  using Squares = Word;
  static Squares no_squares() { return _mm256_setzero_si256(); }
  static Squares add_square(Squares sum, Word a) {
    const Word odd = move_odd_down(a);
    return _mm256_add_epi64(sum, _mm256_add_epi64(_mm256_mul_epi32(a, a), _mm256_mul_epi32(odd, odd)));
  }
  static uint64_t total(Squares sum) {
    alignas(32) uint64_t parts[4];
    _mm256_store_si256(reinterpret_cast<Word*>(parts), sum);
    return parts[0] + parts[1] + parts[2] + parts[3];
  }

  using Float = __m256;
  static Float load_float(const float* from) { return _mm256_loadu_ps(from); }
  static void store_float(float* to, Float x) { _mm256_storeu_ps(to, x); }
  static Float broadcast_float(float x) { return _mm256_set1_ps(x); }
  static Word as_word(Float x) { return _mm256_castps_si256(x); }
  static Float as_float(Word bits) { return _mm256_castsi256_ps(bits); }
  static Float add_float(Float a, Float b) { return _mm256_add_ps(a, b); }
  static Float sub_float(Float a, Float b) { return _mm256_sub_ps(a, b); }
  static Float mul_float(Float a, Float b) { return _mm256_mul_ps(a, b); }
  static Float min_float(Float a, Float b) { return _mm256_min_ps(a, b); }
  static Float max_float(Float a, Float b) { return _mm256_max_ps(a, b); }
  static Float floor_float(Float a) { return _mm256_floor_ps(a); }
  static Word differ_float(Float a, Float b) { return _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_NEQ_UQ)); }
  static Float to_float(Word a) { return _mm256_cvtepi32_ps(a); }
  static Word to_integer(Float a) { return _mm256_cvttps_epi32(a); }
  static Word small_square(Word a) {
    // The upper halves are signs: the second factor's are cleared.
    return _mm256_madd_epi16(a, _mm256_and_si256(a, broadcast(0xffff)));
  }
  template <size_t kStride>
  static Float butterfly_lanes(Float x) {
    if constexpr (kStride == 4) {
      // Two half-width sums cost less than swapping halves, which takes eight operations on Zen 1.
      const __m128 low = _mm256_castps256_ps128(x);
      const __m128 high = _mm256_extractf128_ps(x, 1);
      return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_add_ps(low, high)), _mm_sub_ps(low, high), 1);
    } else {
      const Float swapped = _mm256_permute_ps(x, kStride == 1 ? 0xb1 : 0x4e);
      const Float minus = kStride == 1 ? _mm256_setr_ps(0, -0.0f, 0, -0.0f, 0, -0.0f, 0, -0.0f)
                                       : _mm256_setr_ps(0, 0, -0.0f, -0.0f, 0, 0, -0.0f, -0.0f);
      return _mm256_add_ps(swapped, _mm256_xor_ps(x, minus));
    }
  }

  struct DoubleSquares {
    __m256d low;
    __m256d high;
  };
  static DoubleSquares no_double_squares() { return {_mm256_setzero_pd(), _mm256_setzero_pd()}; }
  static DoubleSquares add_double_square(DoubleSquares sum, Float x) {
    const __m256d low = _mm256_cvtps_pd(_mm256_castps256_ps128(x));
    const __m256d high = _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1));
    return {_mm256_add_pd(sum.low, _mm256_mul_pd(low, low)),
            _mm256_add_pd(sum.high, _mm256_mul_pd(high, high))};
  }
  static void store_doubles(double* to, DoubleSquares sum) {
    _mm256_storeu_pd(to, sum.low);
    _mm256_storeu_pd(to + 4, sum.high);
  }

  // Compared in halves: 64-bit comparisons exist, but Zen 1 runs them in one of its four pipes. t > x iff
  // t_high > x_high - (t_low > x_low ? 1 : 0), where nothing wraps: upper halves are below 2^31. Lower halves
  // are unsigned, and compared as signed ones with their top bits flipped.
  struct Wide {
    Word flipped_low;
    Word high;
  };
  static Wide join(Word low, Word high) { return {_mm256_xor_si256(low, broadcast(0x80000000)), high}; }
  using Count = Word;
  static Count no_count() { return _mm256_setzero_si256(); }
  static Count count_down(Count count, uint64_t threshold, Wide x) {
    const Word low = broadcast(static_cast<uint32_t>(threshold) ^ 0x80000000);
    const Word high = broadcast(static_cast<uint32_t>(threshold >> 32));
    const Word borrowed = _mm256_add_epi32(x.high, _mm256_cmpgt_epi32(low, x.flipped_low));
    return _mm256_add_epi32(count, _mm256_cmpgt_epi32(high, borrowed));
  }
  static Word counted(Count count) { return count; }

 private:
  static Word move_odd_down(Word a) { return _mm256_shuffle_epi32(a, 0xf5); }
};
