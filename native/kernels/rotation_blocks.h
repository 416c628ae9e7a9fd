// The blocks of a tensor: blocks of 2^block_log2 coordinates, and what is left over as descending powers of
// two.
template <class Block>
inline void for_each_block(size_t value_count, uint32_t block_log2, const Block& block) {
  size_t begin = 0;
  for (uint32_t log2 = block_log2 + 1; log2-- > 0;) {
    const size_t size = size_t{1} << log2;
    for (; value_count - begin >= size; begin += size) block(begin, size);
  }
}

// The signs of a tensor's coordinates, 8192 at a time: coordinate i has bit (i / 16) mod 32 of word i / 512
// of stream i mod 16.
class Signs {
 public:
  Signs(const uint32_t key[8], uint32_t tensor_index)
      : streams_(key, static_cast<uint32_t>(kStreams * tensor_index)) {}

  // Makes those of the 8192 coordinates around this one ready.
  void fetch(size_t coordinate) {
    const size_t window = coordinate / kWindow;
    if (window == window_) return;
    streams_.block(static_cast<uint32_t>(window), rows_);
    window_ = window;
  }

  // kVectors registers of coordinates from `coordinate` on (a multiple of what they hold), with their signs.
  template <size_t kVectors>
  void load(const float* from, size_t coordinate, Lanes::Float x[kVectors]) const {
    constexpr size_t kRegisters = kVectors < kRowWords ? kVectors : kRowWords;
    const uint32_t* row = rows_ + coordinate % kWindow / 512 * kStreams + coordinate % kStreams;
    const int bit = static_cast<int>(coordinate / kStreams % 32);
    Lanes::Word signs[kRegisters];
    for (size_t i = 0; i < kRegisters; ++i)
      signs[i] = Lanes::shift_right(Lanes::load(row + i * Lanes::kCount), bit);
#pragma GCC unroll 8
    for (size_t v = 0; v < kVectors; ++v) {
      const Lanes::Word sign =
          Lanes::bit_and(Lanes::shift_left(signs[v % kRegisters], 31 - static_cast<int>(v / kRowWords)),
                         Lanes::broadcast(0x80000000));
      x[v] =
          Lanes::as_float(Lanes::bit_xor(Lanes::as_word(Lanes::load_float(from + v * Lanes::kCount)), sign));
    }
  }

  // One coordinate.
  float apply(float value, size_t coordinate) const {
    const uint32_t word = rows_[coordinate % kWindow / 512 * kStreams + coordinate % kStreams];
    return (word >> (coordinate / kStreams % 32) & 1) != 0 ? -value : value;
  }

 private:
  static constexpr size_t kWindow = 32 * kBlockWords * kStreams;
  SideBySide streams_;
  size_t window_ = SIZE_MAX;
  alignas(64) uint32_t rows_[kBlockWords * kStreams];
};
