// A check that finds nothing may be blind: these are what it must find.

#include <cstdio>
#include <vector>

#include "core/ring.h"
#include "core/secret.h"
#include "operations.h"
#include "taint.h"

namespace tensorguard {
namespace constant_time {
namespace {

// A coefficient of a secret, drawn as in an encryption: what is planted hangs on the same marks as all else.
uint32_t secret_coefficient() {
  const RingTables& ring = *ring_tables(Lwe192::kId);
  const uint8_t fingerprint[32] = {};
  std::vector<uint8_t> seed(32, 1);
  make_secret(seed);
  std::vector<uint32_t> secret(ring.n);
  expand_secret(ring, Lwe192::kId, fingerprint, seed.data(), secret.data());
  return secret[0];
}

}  // namespace

void run_planted_branch() {
  const uint32_t coefficient = secret_coefficient();
  // The empty statements keep the compiler from computing both sides and choosing without a branch.
  if ((coefficient & 1) != 0) {
    __asm__ __volatile__("" : : : "memory");
    std::printf("planted: a branch on a secret, taken\n");
  } else {
    __asm__ __volatile__("" : : : "memory");
    std::printf("planted: a branch on a secret, not taken\n");
  }
}

void run_planted_index() {
  static const volatile uint8_t table[16] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3};
  uint8_t found = table[secret_coefficient() & 15];
  TENSORGUARD_PUBLIC(&found, sizeof found);
  std::printf("planted: a look-up by a secret, %u\n", found);
}

void run_planted_opening(const KernelTable& table) {
  const WireFormat format = {Lwe192::kId, 22, 5, 5, 1, Lwe192::kN, 1};
  ResidualStatistics statistics;
  if (opened_values(table, format, statistics)[0] < 0) {
    __asm__ __volatile__("" : : : "memory");
    std::printf("planted: a branch on an opened value, negative\n");
  } else {
    __asm__ __volatile__("" : : : "memory");
    std::printf("planted: a branch on an opened value, not negative\n");
  }
}

}  // namespace constant_time
}  // namespace tensorguard
