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

// What the modulus switch takes: residues mod q, not quite reduced.
constexpr uint32_t largest_to_switch(const ParameterSet& set) { return 2 * set.q + 14; }

// The ends, those beside which round(c 2^k / q) takes its next value, and random ones.
inline std::vector<uint32_t> words_to_switch(Random& random, const ParameterSet& set, uint32_t wire_bits,
                                             size_t count) {
  const uint32_t largest = largest_to_switch(set);
  std::vector<uint32_t> words = {
      0, 1, set.q - 1, set.q, set.q + 1, 2 * set.q - 1, 2 * set.q, 2 * set.q + 1, largest};
  const uint32_t steps = 1u << wire_bits;
  const uint32_t edges[4] = {0, steps - 1, steps, 2 * steps - 1};
  for (size_t i = 0; words.size() < count; ++i) {
    const uint32_t value = i < 4 ? edges[i] : random.below(2 * steps);
    // Below (value + 1/2) q / 2^k, and above it.
    const uint64_t boundary = ((2 * static_cast<uint64_t>(value) + 1) * set.q) >> (wire_bits + 1);
    words.push_back(static_cast<uint32_t>(boundary));
    words.push_back(static_cast<uint32_t>(boundary + 1));
    words.push_back(random.below(largest + 1));
  }
  words.resize(count);
  return words;
}

}  // namespace conformance
}  // namespace tensorguard

#endif  // TENSORGUARD_TEST_CONFORMANCE_ROUNDING_INPUTS_H_
