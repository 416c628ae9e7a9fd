// A whole encryption and a whole opening by docs/protocol.md sections 4 to 6, coefficient by coefficient.
#ifndef TENSORGUARD_TEST_CONFORMANCE_REFERENCE_ROUND_H_
#define TENSORGUARD_TEST_CONFORMANCE_REFERENCE_ROUND_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/kernel_table.h"
#include "parameter_sets.h"

namespace tensorguard {
namespace conformance {

// Slow: every mask is taken out of the NTT domain by its sum.
class ReferenceRound {
 public:
  // secret: of one client or a sum of them, centred, n coefficients.
  ReferenceRound(const WireFormat& format, const uint8_t mask_key[32], const std::vector<int32_t>& secret);

  std::vector<uint8_t> ciphertext(const uint8_t error_key[32], const std::vector<int32_t>& values) const;

  struct Opened {
    std::vector<int32_t> values;
    uint32_t largest_residual;
    uint64_t sum_of_squares;
  };
  Opened opened(const std::vector<uint8_t>& aggregate) const;

 private:
  size_t lanes(size_t chunk) const;
  // Where field `field` of coefficient `c` of a chunk stands among the values; perhaps past their end.
  size_t value_index(size_t chunk, uint32_t field, size_t c) const;

  WireFormat format_;
  ParameterSet set_;
  std::vector<std::vector<uint32_t>> products_;  // a_j * s of each ring element j
};

}  // namespace conformance
}  // namespace tensorguard

#endif  // TENSORGUARD_TEST_CONFORMANCE_REFERENCE_ROUND_H_
