// The two parameter sets, written down again from docs/protocol.md section 1.
#ifndef TENSORGUARD_TEST_CONFORMANCE_PARAMETER_SETS_H_
#define TENSORGUARD_TEST_CONFORMANCE_PARAMETER_SETS_H_

#include <cstdint>

namespace tensorguard {
namespace conformance {

struct ParameterSet {
  uint32_t id;
  const char* name;
  uint32_t n;
  uint32_t q;
  uint32_t q_bits;
  uint32_t min_wire_bits;
  uint32_t max_wire_bits;
};

constexpr ParameterSet kParameterSets[2] = {{0, "lwe-192", 2048, 1073692673, 30, 4, 28},
                                            {1, "lwe-128", 1024, 67104769, 26, 4, 24}};

}  // namespace conformance
}  // namespace tensorguard

#endif  // TENSORGUARD_TEST_CONFORMANCE_PARAMETER_SETS_H_
