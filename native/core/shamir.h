// Shamir sharing over Z_q, coefficientwise (docs/protocol.md section 7).
#ifndef TENSORGUARD_CORE_SHAMIR_H_
#define TENSORGUARD_CORE_SHAMIR_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ring.h"

namespace tensorguard {

constexpr size_t kMaxCustodians = 255;

// Lagrange coefficients at `at` for the points `points`, distinct, all in 0..255; public.
std::vector<uint32_t> lagrange_coefficients(const RingTables& ring, const std::vector<uint32_t>& points,
                                            uint32_t at);

// out += coefficient * row mod q over n residues; constant time in the residues.
void add_multiple(const RingTables& ring, uint32_t coefficient, const uint32_t* row, uint32_t* out);

// out = the value at `at` of the polynomials through (points[i], rows[i]).
void interpolate(const RingTables& ring, const std::vector<uint32_t>& points,
                 const std::vector<const uint32_t*>& rows, uint32_t at, uint32_t* out);

// Bytes of the share of the custodian with this index, 1..n: a seed, or packed residues.
size_t share_bytes(const RingTables& ring, uint32_t threshold, uint32_t index);

// Shares of the secret that `secret_seed` expands to; shares[i] has share_bytes(threshold, i + 1) bytes.
// hedge is what the share seeds are derived from.
void deal_shares(const RingTables& ring, uint32_t parameter_set, const uint8_t plan_fingerprint[32],
                 const uint8_t* hedge, size_t hedge_size, const uint8_t secret_seed[32], uint32_t threshold,
                 uint32_t custodians, uint8_t* const* shares);

// Adds the residues that a share stands for to the accumulator. False where its size or a residue is out of
// range; the accumulator is then unchanged.
bool add_share(const RingTables& ring, uint32_t parameter_set, const uint8_t plan_fingerprint[32],
               uint32_t threshold, uint32_t index, const uint8_t* share, size_t share_size,
               uint32_t* accumulator);

}  // namespace tensorguard

#endif  // TENSORGUARD_CORE_SHAMIR_H_
