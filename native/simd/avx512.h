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

 private:
  static Word move_odd_down(Word a) { return _mm512_shuffle_epi32(a, _MM_PERM_DDBB); }
};
