// The operations behind the addon: encrypt, open, sum, over threads.
#ifndef TENSORGUARD_CORE_ENGINE_H_
#define TENSORGUARD_CORE_ENGINE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernel_table.h"

namespace tensorguard {

constexpr size_t kHedgeOsBytes = 32;
constexpr size_t kPrfKeyBytes = 32;
constexpr size_t kMessageDigestBytes = 16;
constexpr size_t kHedgeBytes = kHedgeOsBytes + kPrfKeyBytes + kMessageDigestBytes;

// Nullptr where the numbers fit together and the kernels' bounds; else what is wrong.
const char* format_error(const WireFormat& format);

size_t ciphertext_bytes(const WireFormat& format);

// 32 bytes from the operating system; false where it gives none.
bool os_random(uint8_t* out, size_t size);

// A run of ring elements of one width: values of equal bits are encrypted together.
struct Segment {
  WireFormat format;
  uint32_t value_bound;  // largest |value| allowed
};

struct Encryption {
  // At least one, of one parameter set; values and ciphertext hold them back to back. One secret serves all
  // of them: their ring elements have different indices, and so different masks.
  std::vector<Segment> segments;
  uint8_t mask_key[32];
  uint8_t plan_fingerprint[32];
  uint32_t threshold;
  uint32_t custodians;
  const int32_t* values;
  uint8_t* ciphertext;
  uint8_t* const* shares;  // share_bytes each
  size_t threads;
};

struct EncryptionOutcome {
  uint32_t largest;  // |value|
  bool within_bounds;
};

// Encrypts under a secret of its own, derived from the hedge and wiped before it returns. Where a value
// exceeds its segment's bound, ciphertext and shares have been wiped.
EncryptionOutcome encrypt(const KernelTable& kernels, const Encryption& encryption,
                          const uint8_t hedge[kHedgeBytes]);

// One segment: those of an update are opened one by one, with the same sum of secrets.
struct Opening {
  WireFormat format;
  uint8_t mask_key[32];
  const int32_t* secret_sum;  // n coefficients of S, centred
  const uint8_t* aggregate;
  int32_t* values;
  size_t threads;
};

ResidualStatistics open(const KernelTable& kernels, const Opening& opening);

void sum(const KernelTable& kernels, const SumJob& job, size_t threads);

}  // namespace tensorguard

#endif  // TENSORGUARD_CORE_ENGINE_H_
