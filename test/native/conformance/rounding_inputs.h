// Inputs beside which the two roundings of encryption change their result.
#ifndef TENSORGUARD_TEST_CONFORMANCE_ROUNDING_INPUTS_H_
#define TENSORGUARD_TEST_CONFORMANCE_ROUNDING_INPUTS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "parameter_sets.h"
#include "random.h"

namespace tensorguard {
namespace conformance {

// Messages of p bits: the ends, those whose q m / 2^p lies on or beside a half, and random ones.
inline std::vector<uint32_t> messages_to_encode(Random& random, const ParameterSet& set,
                                                uint32_t plaintext_bits, size_t count) {
  const uint32_t mask = (1u << plaintext_bits) - 1;
  // q m = half + j mod 2^p has the solution m = (half + j) / q; Newton's iteration inverts an odd q.
  uint32_t inverse = set.q;
  for (int step = 0; step < 5; ++step) inverse *= 2 - set.q * inverse;
  const uint32_t half = 1u << (plaintext_bits - 1);
  std::vector<uint32_t> messages = {0, 1 & mask, half - 1, half, mask - 1, mask};
  for (uint32_t j = 0; j < 5; ++j) messages.push_back(((half - 2 + j) * inverse) & mask);
  while (messages.size() < count) messages.push_back(random.word() & mask);
  messages.resize(count);
  return messages;
}

// Residues mod q: the ends, those beside which round(c 2^k / q) takes its next value, and random ones.
inline std::vector<uint32_t> residues_to_switch(Random& random, const ParameterSet& set, uint32_t wire_bits,
                                                size_t count) {
  std::vector<uint32_t> residues = {0, 1, set.q - 2, set.q - 1};
  for (uint32_t value = 0; residues.size() < count; value = random.below(1u << wire_bits)) {
    // Below (value + 1/2) q / 2^k, and above it.
    const uint64_t boundary = ((2 * static_cast<uint64_t>(value) + 1) * set.q) >> (wire_bits + 1);
    residues.push_back(static_cast<uint32_t>(boundary));
    residues.push_back(static_cast<uint32_t>(boundary + 1));
    residues.push_back(random.below(set.q));
  }
  // The last one: 2^k - 1/2 steps from zero.
  const uint64_t last = (((uint64_t{2} << wire_bits) - 1) * set.q) >> (wire_bits + 1);
  if (count > 8) {
    residues[4] = static_cast<uint32_t>(last);
    residues[5] = static_cast<uint32_t>(last + 1);
  }
  residues.resize(count);
  return residues;
}

}  // namespace conformance
}  // namespace tensorguard

#endif  // TENSORGUARD_TEST_CONFORMANCE_ROUNDING_INPUTS_H_
