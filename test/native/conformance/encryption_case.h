// One update to encrypt: a format with its keys and values, and what an instruction set makes of it.
#ifndef TENSORGUARD_TEST_CONFORMANCE_ENCRYPTION_CASE_H_
#define TENSORGUARD_TEST_CONFORMANCE_ENCRYPTION_CASE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "buffer.h"
#include "core/engine.h"
#include "core/kernel_table.h"
#include "parameter_sets.h"
#include "random.h"

namespace tensorguard {
namespace conformance {

// Fills `ring_elements` but for the last `missing` values; missing < fold * n.
WireFormat wire_format(const ParameterSet& set, uint32_t wire_bits, uint32_t fold, uint32_t field_bits,
                       size_t ring_elements, size_t missing);

// Any fold and field bits that leave room below the wire bits.
WireFormat random_fold(Random& random, const ParameterSet& set, uint32_t wire_bits, size_t ring_elements,
                       size_t missing);

std::string described(const WireFormat& format);

enum class Values {
  kFields,    // what a field holds: +-(2^(p0 - 1) - 1)
  kExtremes,  // the ends of that range
  kAnything   // any 32 bits: the sum wraps mod 2^p
};

struct EncryptionCase {
  EncryptionCase(Random& random, const WireFormat& format, Values kind);

  WireFormat format;
  uint8_t mask_key[32];
  uint8_t plan_fingerprint[32];
  uint8_t hedge[kHedgeBytes];
  uint32_t threshold;
  uint32_t custodians;
  uint32_t value_bound;
  std::vector<int32_t> values;
};

struct Encrypted {
  std::vector<Buffer<uint8_t>> shares;
  Buffer<uint8_t> ciphertext;
  uint32_t largest;
};

Encrypted encrypted(const KernelTable& table, const EncryptionCase& input, size_t threads);

struct Opened {
  Buffer<int32_t> values;
  ResidualStatistics residuals;
};

Opened opened(const KernelTable& table, const WireFormat& format, const uint8_t mask_key[32],
              const std::vector<int32_t>& secret_sum, const std::vector<uint8_t>& aggregate, size_t threads);

}  // namespace conformance
}  // namespace tensorguard

#endif  // TENSORGUARD_TEST_CONFORMANCE_ENCRYPTION_CASE_H_
