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

 private:
  static Word move_odd_down(Word a) { return _mm256_shuffle_epi32(a, 0xf5); }
};
