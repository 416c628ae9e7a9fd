// Sampling ring elements from streams (docs/protocol.md section 2).

// Removes one lane's rejected words in stream order, and draws on for those that are then missing.
// The stream is public (masks), so that branching on it is fine.
template <class Ring>
void compact_lane(const uint32_t key[8], uint32_t element, size_t lane, uint32_t* rows) {
  size_t kept = 0;
  for (size_t i = 0; i < Ring::kN; ++i) {
    const uint32_t word = rows[i * Lanes::kCount + lane];
    rows[kept * Lanes::kCount + lane] = word;
    kept += word < Ring::kQ ? 1 : 0;
  }
  for (uint32_t counter = Ring::kN / kBlockWords; kept < Ring::kN; ++counter) {
    uint32_t block[kBlockWords];
    chacha20_block(key, counter, element, block);
    for (size_t i = 0; i < kBlockWords && kept < Ring::kN; ++i) {
      const uint32_t word = block[i] & ((1u << Ring::kQBits) - 1);
      if (word < Ring::kQ) rows[kept++ * Lanes::kCount + lane] = word;
    }
  }
}

// Uniform ring elements first ... first + kCount - 1, straight into the NTT domain: rows[i * kCount + lane]
// in [0, q). A word is rejected with probability 5e-5, so that half of the eight-lane blocks are done as they
// come.
template <class Ring>
void sample_uniform(const uint32_t key[8], uint32_t first, uint32_t* rows) {
  const ChaChaRows stream(key, Lanes::iota(first));
  const Lanes::Word mask = Lanes::broadcast((1u << Ring::kQBits) - 1);
  Lanes::Word largest = Lanes::broadcast(0);
  for (uint32_t counter = 0; counter < Ring::kN / kBlockWords; ++counter) {
    Lanes::Word block[kBlockWords];
    chacha20_rows(stream, counter, block);
    uint32_t* row = rows + counter * kBlockWords * Lanes::kCount;
    for (size_t i = 0; i < kBlockWords; ++i) {
      const Lanes::Word word = Lanes::bit_and(block[i], mask);
      largest = Lanes::max_unsigned(largest, word);
      Lanes::store(row + i * Lanes::kCount, word);
    }
  }
  uint32_t lane_largest[Lanes::kCount];
  Lanes::store(lane_largest, largest);
  for (size_t lane = 0; lane < Lanes::kCount; ++lane)
    if (lane_largest[lane] >= Ring::kQ)
      compact_lane<Ring>(key, first + static_cast<uint32_t>(lane), lane, rows);
}

// From 32 random bits, two coefficients of small secrets, each offset by 16 and so in [0, 32]: bits 0..7 from
// the low half word, bits 16..23 from the high one. A nibble x counts for ((x + 1) >> 1) - 4, TUniform(2);
// the sum over four is taken inside the word, without a table: a look-up's address would depend on the
// secret.
inline Lanes::Word small_pair(Lanes::Word random) {
  const Lanes::Word half = Lanes::bit_and(Lanes::shift_right(random, 1), Lanes::broadcast(0x77777777));
  const Lanes::Word odd = Lanes::bit_and(random, Lanes::broadcast(0x11111111));
  const Lanes::Word nibbles = Lanes::add(half, odd);  // (x + 1) >> 1 = (x >> 1) + (x & 1), at most 8
  const Lanes::Word mask = Lanes::broadcast(0x0f0f0f0f);
  const Lanes::Word bytes =
      Lanes::add(Lanes::bit_and(nibbles, mask), Lanes::bit_and(Lanes::shift_right(nibbles, 4), mask));
  return Lanes::bit_and(Lanes::add(bytes, Lanes::shift_right(bytes, 8)), Lanes::broadcast(0x00ff00ff));
}

// Small ring elements: rows[i * kCount + lane] in [0, 32], the coefficient plus 16; coefficient domain.
template <class Ring>
void sample_small(const uint32_t key[8], uint32_t first, uint32_t* rows) {
  const ChaChaRows stream(key, Lanes::iota(first));
  for (uint32_t counter = 0; counter < Ring::kN / 2 / kBlockWords; ++counter) {
    Lanes::Word block[kBlockWords];
    chacha20_rows(stream, counter, block);
    uint32_t* low = rows + counter * kBlockWords * Lanes::kCount;
    uint32_t* high = low + Ring::kN / 2 * Lanes::kCount;
    for (size_t i = 0; i < kBlockWords; ++i) {
      const Lanes::Word pair = small_pair(block[i]);
      Lanes::store(low + i * Lanes::kCount, Lanes::bit_and(pair, Lanes::broadcast(0xff)));
      Lanes::store(high + i * Lanes::kCount, Lanes::shift_right(pair, 16));
    }
    // The block is a secret's randomness.
    wipe(block, sizeof block);
  }
}
