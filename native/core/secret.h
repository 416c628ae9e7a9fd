// Small secrets of a single ring element, and residues, outside the bulk kernels.
#ifndef TENSORGUARD_CORE_SECRET_H_
#define TENSORGUARD_CORE_SECRET_H_

#include <cstddef>
#include <cstdint>

#include "kernel_table.h"
#include "ring.h"

namespace tensorguard {

// The secret of a seed (docs/protocol.md section 2, "secret"): n residues in [0, q); constant time.
void expand_secret(const RingTables& ring, uint32_t parameter_set, const uint8_t plan_fingerprint[32],
                   const uint8_t seed[32], uint32_t* residues);

// A share seed's n uniform residues ("share expansion").
// Which words are rejected shows in the time taken; those words are thrown away, and say nothing of the ones
// kept.
void expand_share(const RingTables& ring, uint32_t parameter_set, const uint8_t plan_fingerprint[32],
                  const uint8_t seed[32], uint32_t* residues);

// NTT(polynomial) / n with Shoup companions, what the inverse transform multiplies by. Wipes nothing but its
// own scratch.
void prepare_factor(const RingTables& ring, uint32_t parameter_set, const KernelTable& kernels,
                    const uint32_t* polynomial, Twiddle* factor);

// Residues as a little-endian stream of q_bits each: n * q_bits / 8 bytes.
size_t packed_residue_bytes(const RingTables& ring);
void pack_residues(const RingTables& ring, const uint32_t* residues, uint8_t* packed);
// False where a residue is not below q. Constant time in the values.
bool unpack_residues(const RingTables& ring, const uint8_t* packed, uint32_t* residues);

}  // namespace tensorguard

#endif  // TENSORGUARD_CORE_SECRET_H_
