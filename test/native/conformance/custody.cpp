// Secrets, shares and residues: common to all instruction sets, against docs/protocol.md sections 2 and 7.

#include <cstring>
#include <string>
#include <vector>

#include "checks.h"
#include "core/dispatch.h"
#include "core/hkdf.h"
#include "core/secret.h"
#include "core/shamir.h"
#include "parameter_sets.h"
#include "random.h"
#include "reference.h"

namespace tensorguard {
namespace conformance {
namespace {

std::vector<uint32_t> secret_by_definition(const ParameterSet& set, const uint8_t fingerprint[32],
                                           const uint8_t seed[32]) {
  uint8_t key[kKeyBytes];
  stream_key(seed, kKeyBytes, "secret", set.id, fingerprint, key);
  std::vector<uint32_t> out;
  for (const int32_t value : small_element(key, 0, set.n))
    out.push_back(static_cast<uint32_t>((int64_t{value} + set.q) % set.q));
  return out;
}

std::vector<uint32_t> share_by_definition(const ParameterSet& set, const uint8_t fingerprint[32],
                                          const uint8_t seed[32]) {
  uint8_t key[kKeyBytes];
  stream_key(seed, kKeyBytes, "share expansion", set.id, fingerprint, key);
  return uniform_element(key, 0, set.n, set.q);
}

void check_expansion(const Run& run, const ParameterSet& set, Random& random) {
  const RingTables& ring = *ring_tables(set.id);
  for (size_t i = 0; i < run.cases(2, 50); ++i) {
    uint8_t seed[32];
    uint8_t fingerprint[32];
    random.fill(seed, sizeof seed);
    random.fill(fingerprint, sizeof fingerprint);
    Buffer<uint32_t> secret(set.n);
    expand_secret(ring, set.id, fingerprint, seed, secret.data());
    run.report.equal(secret, secret_by_definition(set, fingerprint, seed), "%s: secret", set.name);
    Buffer<uint32_t> share(set.n);
    expand_share(ring, set.id, fingerprint, seed, share.data());
    run.report.equal(share, share_by_definition(set, fingerprint, seed), "%s: share", set.name);
  }
}

void check_residues(const Run& run, const ParameterSet& set, Random& random) {
  const RingTables& ring = *ring_tables(set.id);
  const size_t bytes = static_cast<size_t>(set.n) * set.q_bits / 8;
  run.report.check(packed_residue_bytes(ring) == bytes, "%s: packed size", set.name);
  for (size_t i = 0; i < run.cases(2, 50); ++i) {
    std::vector<uint32_t> residues = random.residues(set.n, set.q);
    std::vector<uint8_t> expected(bytes, 0);
    for (size_t bit = 0; bit < bytes * 8; ++bit)
      expected[bit / 8] = static_cast<uint8_t>(
          expected[bit / 8] | ((residues[bit / set.q_bits] >> bit % set.q_bits) & 1) << bit % 8);
    Buffer<uint8_t> packed(bytes);
    pack_residues(ring, residues.data(), packed.data());
    run.report.equal(packed, expected, "%s: pack residues", set.name);
    Buffer<uint32_t> out(set.n);
    run.report.check(unpack_residues(ring, packed.data(), out.data()), "%s: residues refused", set.name);
    run.report.equal(out, residues, "%s: unpack residues", set.name);

    const uint32_t at = i == 0 ? set.n - 1 : random.below(set.n);
    residues[at] = i == 0 ? set.q : random.between(set.q, (1u << set.q_bits) - 1);
    pack_residues(ring, residues.data(), packed.data());
    run.report.check(!unpack_residues(ring, packed.data(), out.data()), "%s: %u at %u not refused", set.name,
                     residues[at], at);
  }
}

// Deals, and opens by every subset of t custodians; checks the shares of the definition on the way.
void check_sharing(const Run& run, const ParameterSet& set, uint32_t threshold, uint32_t custodians,
                   Random& random) {
  const RingTables& ring = *ring_tables(set.id);
  uint8_t seed[32];
  uint8_t fingerprint[32];
  uint8_t hedge[80];
  random.fill(seed, sizeof seed);
  random.fill(fingerprint, sizeof fingerprint);
  random.fill(hedge, sizeof hedge);
  std::vector<Buffer<uint8_t>> shares;
  std::vector<uint8_t*> pointers;
  for (uint32_t index = 1; index <= custodians; ++index)
    shares.emplace_back(share_bytes(ring, threshold, index));
  for (Buffer<uint8_t>& share : shares) pointers.push_back(share.data());
  deal_shares(ring, set.id, fingerprint, hedge, sizeof hedge, seed, threshold, custodians, pointers.data());
  for (const Buffer<uint8_t>& share : shares) run.report.check(share.intact(), "written beside a share");

  const std::vector<uint32_t> secret = secret_by_definition(set, fingerprint, seed);
  std::vector<std::vector<uint32_t>> rows;
  for (uint32_t index = 1; index <= custodians; ++index) {
    const Buffer<uint8_t>& share = shares[index - 1];
    std::vector<uint32_t> row(set.n, 0);
    run.report.check(
        add_share(ring, set.id, fingerprint, threshold, index, share.data(), share.size(), row.data()),
        "%s: share %u of %u refused", set.name, index, custodians);
    const std::vector<uint32_t> before = row;
    run.report.check(
        !add_share(ring, set.id, fingerprint, threshold, index, share.data(), share.size() - 1, row.data()) &&
            row == before,
        "%s: a short share not refused", set.name);
    rows.push_back(row);
    if (threshold > 1 && index < threshold) {
      uint8_t expected[kKeyBytes];
      stream_key(hedge, sizeof hedge, ("share " + std::to_string(index)).c_str(), set.id, fingerprint,
                 expected);
      run.report.check(std::memcmp(share.data(), expected, kKeyBytes) == 0, "%s: share seed %u", set.name,
                       index);
      run.report.equal(Buffer<uint32_t>(row), share_by_definition(set, fingerprint, expected),
                       "%s: what share seed %u stands for", set.name, index);
    }
  }
  for (uint32_t subset = 1; subset < 1u << custodians; ++subset) {
    std::vector<uint32_t> points;
    std::vector<const uint32_t*> known;
    for (uint32_t index = 1; index <= custodians; ++index)
      if ((subset >> (index - 1)) & 1) {
        points.push_back(index);
        known.push_back(rows[index - 1].data());
      }
    if (points.size() != threshold) continue;
    Buffer<uint32_t> out(set.n);
    interpolate(ring, points, known, 0, out.data());
    run.report.equal(out, secret, "%s, %u of %u: subset %x", set.name, threshold, custodians, subset);
  }
}

void check_factor(const Run& run, const ParameterSet& set, Random& random) {
  const RingTables& ring = *ring_tables(set.id);
  const std::vector<uint32_t> polynomial = random.residues(set.n, set.q);
  std::vector<uint32_t> expected;
  for (const uint32_t value : evaluated(polynomial, smallest_root(set.n, set.q), set.q)) {
    const uint64_t w = static_cast<uint64_t>(value) * power_mod(set.n, set.q - 2, set.q) % set.q;
    expected.push_back(static_cast<uint32_t>(w));
    expected.push_back(static_cast<uint32_t>((w << 32) / set.q));
  }
  std::vector<Twiddle> factor(set.n);
  prepare_factor(ring, set.id, *supported_kernels().front(), polynomial.data(), factor.data());
  Buffer<uint32_t> got(2 * set.n);
  for (size_t i = 0; i < set.n; ++i) {
    got[2 * i] = factor[i].w;
    got[2 * i + 1] = factor[i].shoup;
  }
  run.report.equal(got, expected, "%s: NTT(s) / n and companions", set.name);
}

}  // namespace

void check_custody(const Run& run) {
  Random random(run.seed, "custody");
  run.report.group("scalar", "secrets and share seeds");
  for (const ParameterSet& set : kParameterSets) {
    check_expansion(run, set, random);
    check_factor(run, set, random);
  }
  run.report.group("scalar", "packed residues");
  for (const ParameterSet& set : kParameterSets) check_residues(run, set, random);
  run.report.group("scalar", "sharing");
  for (const ParameterSet& set : kParameterSets)
    for (const uint32_t custodians : {1u, 4u})
      for (uint32_t threshold = 1; threshold <= custodians; ++threshold)
        check_sharing(run, set, threshold, custodians, random);
}

}  // namespace conformance
}  // namespace tensorguard
