// Keys, residues and shares on secret inputs.

#include <cstdio>
#include <vector>

#include "core/hkdf.h"
#include "core/ring.h"
#include "core/secret.h"
#include "core/shamir.h"
#include "operations.h"
#include "taint.h"

namespace tensorguard {
namespace constant_time {
namespace {

constexpr size_t kHedge = 80;

std::vector<uint8_t> secret_bytes(size_t size) {
  std::vector<uint8_t> out(size);
  for (size_t i = 0; i < size; ++i) out[i] = static_cast<uint8_t>(37 * i + 11);
  make_secret(out);
  return out;
}

// Residues: below q, though nobody knows which.
std::vector<uint32_t> secret_residues(const RingTables& ring) {
  std::vector<uint32_t> out(ring.n);
  for (uint32_t i = 0; i < ring.n; ++i) out[i] = static_cast<uint32_t>(uint64_t{2654435761} * i % ring.q);
  make_secret(out);
  return out;
}

bool told(const char* name, const RingTables& ring, bool secret) {
  std::printf("n = %u: %s%s\n", ring.n, name, secret ? "" : ": THE OUTPUT IS NOT SECRET");
  return secret;
}

const uint8_t kFingerprint[32] = {0x74, 0x67};

bool run_keys(const RingTables& ring, uint32_t parameter_set) {
  const std::vector<uint8_t> material = secret_bytes(kHedge);
  std::vector<uint8_t> digest(kHashBytes);
  std::vector<uint8_t> key(kKeyBytes);
  sha256(material.data(), material.size(), digest.data());
  stream_key(material.data(), material.size(), "secret seed", parameter_set, kFingerprint, key.data());
  return told("SHA-256, HKDF", ring, is_secret(digest) && is_secret(key));
}

bool run_arithmetic(const RingTables& ring) {
  const std::vector<uint32_t> a = secret_residues(ring);
  std::vector<uint32_t> out(ring.n);
  bool secret = true;
  for (uint32_t i = 0; i < ring.n; ++i) out[i] = shoup_companion(a[i], ring);
  secret = secret && is_secret(out);
  for (uint32_t i = 0; i < ring.n; ++i) out[i] = multiply_mod(a[i], a[ring.n - 1 - i], ring);
  secret = secret && is_secret(out);
  for (uint32_t i = 0; i < ring.n; ++i) out[i] = reduce_once(a[i] + a[ring.n - 1 - i], ring.q);
  return told("companions, products, reductions", ring, secret && is_secret(out));
}

bool run_residue_packing(const RingTables& ring) {
  const std::vector<uint32_t> residues = secret_residues(ring);
  std::vector<uint8_t> packed(packed_residue_bytes(ring));
  std::vector<uint32_t> out(ring.n);
  pack_residues(ring, residues.data(), packed.data());
  // Whether they are all below q is told to the caller; which values they are is not.
  const bool in_range = unpack_residues(ring, packed.data(), out.data());
  return told("packed residues", ring, in_range && is_secret(packed) && is_secret(out));
}

bool run_expansion(const RingTables& ring, uint32_t parameter_set) {
  const std::vector<uint8_t> seed = secret_bytes(kKeyBytes);
  std::vector<uint32_t> secret(ring.n);
  std::vector<uint32_t> share(ring.n);
  expand_secret(ring, parameter_set, kFingerprint, seed.data(), secret.data());
  expand_share(ring, parameter_set, kFingerprint, seed.data(), share.data());
  return told("expansion of seeds", ring, is_secret(secret) && is_secret(share));
}

bool run_interpolation(const RingTables& ring) {
  const std::vector<uint32_t> first = secret_residues(ring);
  const std::vector<uint32_t> second = secret_residues(ring);
  std::vector<uint32_t> out(ring.n);
  interpolate(ring, {1, 3}, {first.data(), second.data()}, 0, out.data());
  return told("interpolation", ring, is_secret(out));
}

// Who gets a seed and who gets residues is public, as are sizes.
bool run_dealing(const RingTables& ring, uint32_t parameter_set, uint32_t threshold, uint32_t custodians) {
  const std::vector<uint8_t> hedge = secret_bytes(kHedge);
  const std::vector<uint8_t> seed = secret_bytes(kKeyBytes);
  std::vector<std::vector<uint8_t>> shares;
  std::vector<uint8_t*> pointers;
  for (uint32_t index = 1; index <= custodians; ++index)
    shares.push_back(std::vector<uint8_t>(share_bytes(ring, threshold, index)));
  for (std::vector<uint8_t>& share : shares) pointers.push_back(share.data());
  deal_shares(ring, parameter_set, kFingerprint, hedge.data(), hedge.size(), seed.data(), threshold,
              custodians, pointers.data());
  bool secret = true;
  for (uint32_t index = 1; index <= custodians; ++index) {
    const std::vector<uint8_t>& share = shares[index - 1];
    std::vector<uint32_t> sum(ring.n, 0);
    secret = secret && is_secret(share) &&
             add_share(ring, parameter_set, kFingerprint, threshold, index, share.data(), share.size(),
                       sum.data()) &&
             is_secret(sum);
  }
  return told(threshold == 1 ? "shares, 1 of 1" : "shares, 3 of 4", ring, secret);
}

}  // namespace

bool run_primitives(uint32_t parameter_set) {
  const RingTables& ring = *ring_tables(parameter_set);
  bool secret = run_keys(ring, parameter_set);
  secret = run_arithmetic(ring) && secret;
  return run_residue_packing(ring) && secret;
}

bool run_custody(uint32_t parameter_set) {
  const RingTables& ring = *ring_tables(parameter_set);
  bool secret = run_expansion(ring, parameter_set);
  secret = run_interpolation(ring) && secret;
  secret = run_dealing(ring, parameter_set, 1, 1) && secret;
  return run_dealing(ring, parameter_set, 3, 4) && secret;
}

}  // namespace constant_time
}  // namespace tensorguard
