// An instruction set's kernels, one by one and as whole encryptions and openings, on secret inputs.

#include <cstdio>
#include <cstring>
#include <vector>

#include "core/chacha20.h"
#include "core/engine.h"
#include "core/secret.h"
#include "core/shamir.h"
#include "operations.h"
#include "taint.h"

namespace tensorguard {
namespace constant_time {
namespace {

bool told(const KernelTable& table, const char* name, const RingTables& ring, bool secret) {
  std::printf("n = %u, %s: %s%s\n", ring.n, table.name, name, secret ? "" : ": THE OUTPUT IS NOT SECRET");
  return secret;
}

std::vector<uint32_t> secret_words(size_t count, uint32_t below) {
  std::vector<uint32_t> out(count);
  for (size_t i = 0; i < count; ++i) out[i] = static_cast<uint32_t>(uint64_t{2654435761} * i % below);
  make_secret(out);
  return out;
}

bool run_sampling(const KernelTable& table, uint32_t parameter_set, const RingTables& ring) {
  const std::vector<uint32_t> key = secret_words(8, UINT32_MAX);
  std::vector<uint32_t> rows(ring.n * table.lanes);
  table.sample_small(parameter_set, key.data(), 0, rows.data());
  return told(table, "errors", ring, is_secret(rows));
}

bool run_transforms(const KernelTable& table, uint32_t parameter_set, const RingTables& ring) {
  const std::vector<uint32_t> secret = secret_words(ring.n, ring.q);
  std::vector<Twiddle> factor(ring.n);
  prepare_factor(ring, parameter_set, table, secret.data(), factor.data());
  bool is_tainted = is_secret(factor);
  std::vector<uint32_t> rows(ring.n * table.lanes, 1);  // a public mask
  table.multiply_inverse_rows(parameter_set, factor.data(), rows.data());
  is_tainted = is_tainted && is_secret(rows);
  std::vector<uint32_t> other = secret_words(ring.n * table.lanes, ring.q);
  table.forward_rows(parameter_set, other.data());
  return told(table, "transforms", ring, is_tainted && is_secret(other));
}

bool run_roundings(const KernelTable& table, uint32_t parameter_set, const RingTables& ring) {
  bool secret = true;
  for (const uint32_t plaintext_bits : {9u, 21u}) {  // both of the encoder's formulas
    std::vector<uint32_t> messages = secret_words(100, 1u << plaintext_bits);
    table.encode(parameter_set, plaintext_bits, messages.data(), messages.size());
    secret = secret && is_secret(messages);
  }
  std::vector<uint32_t> residues = secret_words(ring.n * kChunkLanes, ring.q);
  table.switch_modulus(parameter_set, 17, residues.data(), residues.size());
  secret = secret && is_secret(residues);
  std::vector<uint32_t> packed(residues.size() / 32 * 17);
  table.pack(17, ring.n, kChunkLanes, residues.data(), packed.data());
  return told(table, "encoding, modulus switch, packing", ring, secret && is_secret(packed));
}

// The format, the mask's key, the plan's fingerprint and who the custodians are is public. Secret are the
// hedge, from which everything else is drawn, and the values.
bool run_encryption(const KernelTable& table, const WireFormat& format, const RingTables& ring,
                    uint32_t threshold, uint32_t custodians) {
  std::vector<uint8_t> hedge(kHedgeBytes, 0x5a);
  std::vector<int32_t> values(format.value_count);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int32_t>(i % 7) - 3;
  make_secret(hedge);
  make_secret(values);
  std::vector<uint8_t> ciphertext(ciphertext_bytes(format));
  std::vector<std::vector<uint8_t>> shares;
  std::vector<uint8_t*> pointers;
  for (uint32_t index = 1; index <= custodians; ++index)
    shares.push_back(std::vector<uint8_t>(share_bytes(ring, threshold, index)));
  for (std::vector<uint8_t>& share : shares) pointers.push_back(share.data());

  Encryption encryption;
  encryption.segments = {{format, 3}};
  std::memset(encryption.mask_key, 0x33, sizeof encryption.mask_key);
  std::memset(encryption.plan_fingerprint, 0x44, sizeof encryption.plan_fingerprint);
  encryption.threshold = threshold;
  encryption.custodians = custodians;
  encryption.values = values.data();
  encryption.ciphertext = ciphertext.data();
  encryption.shares = pointers.data();
  encryption.threads = 1;
  const uint32_t largest = encrypt(table, encryption, hedge.data()).largest;

  bool secret = is_secret(ciphertext);
  for (const std::vector<uint8_t>& share : shares) secret = secret && is_secret(share);
  // Only the largest |value| is told, for the refusal.
  return told(table, "whole encryption", ring, secret && !is_secret(&largest, sizeof largest));
}

bool run_opening(const KernelTable& table, const WireFormat& format, const RingTables& ring) {
  ResidualStatistics statistics;
  const std::vector<int32_t> values = opened_values(table, format, statistics);
  bool secret = true;
  for (const int32_t& value : values) secret = secret && is_secret(&value, sizeof value);
  // What the residuals say is told, for the owner to refuse a wrong sum of secrets.
  return told(table, "whole opening", ring,
              secret && !is_secret(&statistics.max_absolute, sizeof statistics.max_absolute) &&
                  !is_secret(&statistics.sum_of_squares, sizeof statistics.sum_of_squares));
}

WireFormat format_of(uint32_t parameter_set, const RingTables& ring, uint32_t fold, size_t ring_elements,
                     size_t missing) {
  return {parameter_set, 22, fold * 5, 5, fold, ring_elements * ring.n * fold - missing, ring_elements};
}

}  // namespace

bool run_kernels(const KernelTable& table, uint32_t parameter_set) {
  const RingTables& ring = *ring_tables(parameter_set);
  bool secret = run_sampling(table, parameter_set, ring);
  secret = run_transforms(table, parameter_set, ring) && secret;
  return run_roundings(table, parameter_set, ring) && secret;
}

bool run_encryptions(const KernelTable& table, uint32_t parameter_set) {
  const RingTables& ring = *ring_tables(parameter_set);
  // A chunk that is read in place, folded, and one that is staged; few plaintext bits and many.
  const bool in_place =
      run_encryption(table, format_of(parameter_set, ring, 4, 8 * (table.lanes > 8 ? 2 : 1), 0), ring, 3, 4);
  const bool staged = run_encryption(table, format_of(parameter_set, ring, 2, 3, 100), ring, 1, 1);
  return in_place && staged;
}

std::vector<int32_t> opened_values(const KernelTable& table, const WireFormat& format,
                                   ResidualStatistics& statistics) {
  std::vector<int32_t> secret_sum(ring_tables(format.parameter_set)->n);
  for (size_t i = 0; i < secret_sum.size(); ++i) secret_sum[i] = static_cast<int32_t>(i % 97) - 48;
  make_secret(secret_sum);
  std::vector<uint8_t> aggregate(ciphertext_bytes(format));
  for (size_t i = 0; i < aggregate.size(); ++i) aggregate[i] = static_cast<uint8_t>(37 * i + 11);
  std::vector<int32_t> values(format.value_count);
  Opening opening;
  opening.format = format;
  std::memset(opening.mask_key, 0x33, sizeof opening.mask_key);
  opening.secret_sum = secret_sum.data();
  opening.aggregate = aggregate.data();
  opening.values = values.data();
  opening.threads = 1;
  statistics = open(table, opening);
  return values;
}

bool run_openings(const KernelTable& table, uint32_t parameter_set) {
  const RingTables& ring = *ring_tables(parameter_set);
  // Fields split in place, and whole messages that are unstaged; then a single field, which takes another
  // path.
  const size_t in_place_elements = 8 * (table.lanes > 8 ? 2 : 1);
  bool secret = run_opening(table, format_of(parameter_set, ring, 4, in_place_elements, 0), ring);
  secret = run_opening(table, format_of(parameter_set, ring, 2, 3, 100), ring) && secret;
  return run_opening(table, format_of(parameter_set, ring, 1, in_place_elements, 0), ring) && secret;
}

}  // namespace constant_time
}  // namespace tensorguard
