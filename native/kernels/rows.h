// Where a block's rows lie in the format. A block is Lanes::kCount ring elements; a chunk's rows are
// kChunkLanes words. A block is part of a chunk (one lane, NEON), one chunk (AVX2), or two chunks (AVX-512).

constexpr size_t kChunksPerGroup = Lanes::kCount > kChunkLanes ? Lanes::kCount / kChunkLanes : 1;
constexpr size_t kBlocksPerGroup = Lanes::kCount < kChunkLanes ? kChunkLanes / Lanes::kCount : 1;

template <class Pointer>
struct ChunkRows {
  Pointer chunk[kChunksPerGroup];  // row r of chunk c begins at chunk[c] + r * kChunkLanes

  // The same rows, `words` further on in each chunk.
  ChunkRows advanced(size_t words) const {
    ChunkRows result = *this;
    for (Pointer& base : result.chunk) base += words;
    return result;
  }
};

using RowSource = ChunkRows<const uint32_t*>;
using RowSink = ChunkRows<uint32_t*>;

template <class Rows>
inline Lanes::Word load_row(const Rows& rows, size_t row) {
  return Lanes::load_halves(rows.chunk[0] + row * kChunkLanes,
                            rows.chunk[kChunksPerGroup - 1] + row * kChunkLanes);
}

inline void store_row(const RowSink& rows, size_t row, Lanes::Word x) {
  Lanes::store_halves(rows.chunk[0] + row * kChunkLanes, rows.chunk[kChunksPerGroup - 1] + row * kChunkLanes,
                      x);
}
