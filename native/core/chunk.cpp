#include "chunk.h"

#include <cstring>

namespace tensorguard {
uint32_t stage_messages(const WireFormat& format, uint32_t n, const Chunk& chunk, const int32_t* values,
                        uint32_t* rows) {
  std::memset(rows, 0, n * kChunkLanes * sizeof(uint32_t));
  uint32_t largest = 0;
  for (uint32_t field = 0; field < format.fold; ++field) {
    const size_t plane = field * chunk.coefficients;
    if (plane >= chunk.value_count) break;
    const size_t present =
        chunk.value_count - plane < chunk.coefficients ? chunk.value_count - plane : chunk.coefficients;
    const int32_t* source = values + chunk.first_value + plane;
    for (size_t c = 0; c < present; ++c) {
      largest = larger_of(largest, absolute_of(static_cast<uint32_t>(source[c])));
      rows[c / chunk.lanes * kChunkLanes + c % chunk.lanes] += static_cast<uint32_t>(source[c])
                                                               << (field * format.field_bits);
    }
  }
  return largest;
}

void unstage_values(const WireFormat& format, const Chunk& chunk, const int32_t* rows, int32_t* values) {
  for (size_t c = 0; c < chunk.coefficients; ++c) {
    int32_t message = rows[c / chunk.lanes * kChunkLanes + c % chunk.lanes];
    for (uint32_t field = 0; field < format.fold; ++field) {
      const size_t index = field * chunk.coefficients + c;
      if (index >= chunk.value_count) break;
      const int shift = 32 - static_cast<int>(format.field_bits);
      const int32_t value = static_cast<int32_t>(static_cast<uint32_t>(message) << shift) >> shift;
      values[chunk.first_value + index] = value;
      message = (message - value) >> format.field_bits;
    }
  }
}

void widen_rows(const uint8_t* packed, size_t lanes, size_t row_count, uint32_t* rows) {
  std::memset(rows, 0, row_count * kChunkLanes * sizeof(uint32_t));
  for (size_t row = 0; row < row_count; ++row)
    std::memcpy(rows + row * kChunkLanes, packed + row * lanes * sizeof(uint32_t), lanes * sizeof(uint32_t));
}

void narrow_rows(const uint32_t* rows, size_t lanes, size_t row_count, uint8_t* packed) {
  for (size_t row = 0; row < row_count; ++row)
    std::memcpy(packed + row * lanes * sizeof(uint32_t), rows + row * kChunkLanes, lanes * sizeof(uint32_t));
}

}  // namespace tensorguard
