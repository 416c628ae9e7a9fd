// Where a chunk's values and packed words lie (docs/protocol.md section 4).
#ifndef TENSORGUARD_CORE_CHUNK_H_
#define TENSORGUARD_CORE_CHUNK_H_

#include <cstddef>
#include <cstdint>

#include "kernel_table.h"

namespace tensorguard {

inline size_t chunk_count(size_t ring_elements) { return (ring_elements + kChunkLanes - 1) / kChunkLanes; }

struct Chunk {
  size_t lanes;         // 8, or what the last chunk needs
  size_t coefficients;  // lanes * n
  size_t first_value;
  size_t value_count;  // fold * coefficients, or what is left
  size_t packed_bytes;
  size_t packed_offset;

  // Eight lanes and every value present: kernels read and write it in place.
  bool is_full(uint32_t fold) const { return lanes == kChunkLanes && value_count == fold * coefficients; }
};

inline Chunk chunk_at(const WireFormat& format, uint32_t n, size_t index) {
  Chunk chunk;
  const size_t first_element = index * kChunkLanes;
  const size_t left = format.ring_elements - first_element;
  chunk.lanes = left < kChunkLanes ? left : kChunkLanes;
  chunk.coefficients = chunk.lanes * n;
  chunk.first_value = first_element * n * format.fold;
  const size_t capacity = chunk.coefficients * format.fold;
  const size_t values_left =
      format.value_count > chunk.first_value ? format.value_count - chunk.first_value : 0;
  chunk.value_count = values_left < capacity ? values_left : capacity;
  chunk.packed_bytes = chunk.coefficients / 8 * format.wire_bits;
  chunk.packed_offset = first_element * n / 8 * format.wire_bits;
  return chunk;
}

// Folds a chunk's values into eight-lane rows of messages, absent lanes and values being zero. Returns the
// largest absolute value, without a branch on any.
uint32_t stage_messages(const WireFormat& format, uint32_t n, const Chunk& chunk, const int32_t* values,
                        uint32_t* rows);

// The inverse: unfolds eight-lane rows of centred messages into the chunk's values.
void unstage_values(const WireFormat& format, const Chunk& chunk, const int32_t* rows, int32_t* values);

// Rows of `lanes` words to and from rows of eight.
void widen_rows(const uint8_t* packed, size_t lanes, size_t row_count, uint32_t* rows);
void narrow_rows(const uint32_t* rows, size_t lanes, size_t row_count, uint8_t* packed);

}  // namespace tensorguard

#endif  // TENSORGUARD_CORE_CHUNK_H_
