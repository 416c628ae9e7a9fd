#include "shamir.h"

#include <cstring>
#include <string>

#include "hkdf.h"
#include "secret.h"
#include "secure_memory.h"

namespace tensorguard {
namespace {

uint32_t inverse_mod(uint32_t value, uint32_t q) {
  // Fermat; public values only.
  uint64_t result = 1;
  uint64_t square = value;
  for (uint32_t exponent = q - 2; exponent != 0; exponent >>= 1) {
    if (exponent & 1) result = result * square % q;
    square = square * square % q;
  }
  return static_cast<uint32_t>(result);
}

}  // namespace

std::vector<uint32_t> lagrange_coefficients(const RingTables& ring, const std::vector<uint32_t>& points,
                                            uint32_t at) {
  const uint64_t q = ring.q;
  std::vector<uint32_t> coefficients;
  for (const uint32_t own : points) {
    uint64_t numerator = 1;
    uint64_t denominator = 1;
    for (const uint32_t other : points) {
      if (other == own) continue;
      numerator = numerator * ((q + at - other) % q) % q;
      denominator = denominator * ((q + own - other) % q) % q;
    }
    coefficients.push_back(
        static_cast<uint32_t>(numerator * inverse_mod(static_cast<uint32_t>(denominator), ring.q) % q));
  }
  return coefficients;
}

void add_multiple(const RingTables& ring, uint32_t coefficient, const uint32_t* row, uint32_t* out) {
  const uint32_t shoup = shoup_companion(coefficient, ring);
  for (uint32_t i = 0; i < ring.n; ++i)
    out[i] = reduce_once(out[i] + multiply_shoup(row[i], coefficient, shoup, ring.q), ring.q);
}

void interpolate(const RingTables& ring, const std::vector<uint32_t>& points,
                 const std::vector<const uint32_t*>& rows, uint32_t at, uint32_t* out) {
  const std::vector<uint32_t> coefficients = lagrange_coefficients(ring, points, at);
  std::memset(out, 0, ring.n * sizeof(uint32_t));
  for (size_t i = 0; i < rows.size(); ++i) add_multiple(ring, coefficients[i], rows[i], out);
}

size_t share_bytes(const RingTables& ring, uint32_t threshold, uint32_t index) {
  return threshold == 1 || index < threshold ? kKeyBytes : packed_residue_bytes(ring);
}

void deal_shares(const RingTables& ring, uint32_t parameter_set, const uint8_t plan_fingerprint[32],
                 const uint8_t* hedge, size_t hedge_size, const uint8_t secret_seed[32], uint32_t threshold,
                 uint32_t custodians, uint8_t* const* shares) {
  if (threshold == 1) {
    for (uint32_t i = 0; i < custodians; ++i) std::memcpy(shares[i], secret_seed, kKeyBytes);
    return;
  }
  // The polynomial is fixed by its value s at 0 and by uniform values at 1..t-1.
  SecretBuffer<uint32_t> rows(static_cast<size_t>(threshold) * ring.n);
  std::vector<uint32_t> points = {0};
  std::vector<const uint32_t*> known = {rows.data()};
  expand_secret(ring, parameter_set, plan_fingerprint, secret_seed, rows.data());
  for (uint32_t index = 1; index < threshold; ++index) {
    const std::string purpose = "share " + std::to_string(index);
    stream_key(hedge, hedge_size, purpose.c_str(), parameter_set, plan_fingerprint, shares[index - 1]);
    uint32_t* row = rows.data() + static_cast<size_t>(index) * ring.n;
    expand_share(ring, parameter_set, plan_fingerprint, shares[index - 1], row);
    points.push_back(index);
    known.push_back(row);
  }
  SecretBuffer<uint32_t> share(ring.n);
  for (uint32_t index = threshold; index <= custodians; ++index) {
    interpolate(ring, points, known, index, share.data());
    pack_residues(ring, share.data(), shares[index - 1]);
  }
}

bool add_share(const RingTables& ring, uint32_t parameter_set, const uint8_t plan_fingerprint[32],
               uint32_t threshold, uint32_t index, const uint8_t* share, size_t share_size,
               uint32_t* accumulator) {
  if (share_size != share_bytes(ring, threshold, index)) return false;
  SecretBuffer<uint32_t> residues(ring.n);
  if (threshold == 1) {
    expand_secret(ring, parameter_set, plan_fingerprint, share, residues.data());
  } else if (index < threshold) {
    expand_share(ring, parameter_set, plan_fingerprint, share, residues.data());
  } else if (!unpack_residues(ring, share, residues.data())) {
    return false;
  }
  add_multiple(ring, 1, residues.data(), accumulator);
  return true;
}

}  // namespace tensorguard
