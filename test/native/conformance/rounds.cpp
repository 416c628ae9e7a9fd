// Whole rounds on one instruction set: several clients, a sum, custodians, an opening.

#include <algorithm>
#include <string>
#include <vector>

#include "checks.h"
#include "core/engine.h"
#include "core/shamir.h"
#include "encryption_case.h"
#include "parameter_sets.h"
#include "random.h"

namespace tensorguard {
namespace conformance {
namespace {

constexpr size_t kClients = 3;

struct Fleet {
  std::vector<EncryptionCase> clients;
  std::vector<Encrypted> updates;
};

// Clients of one plan: the same masks, fingerprint and custodians; values small enough for the sum to fit.
Fleet sealed(const KernelTable& table, const WireFormat& format, uint32_t threshold, uint32_t custodians,
             Random& random) {
  Fleet fleet;
  for (size_t i = 0; i < kClients; ++i) {
    EncryptionCase client(random, format, Values::kFields);
    if (i > 0) {
      std::copy_n(fleet.clients[0].mask_key, sizeof client.mask_key, client.mask_key);
      std::copy_n(fleet.clients[0].plan_fingerprint, sizeof client.plan_fingerprint, client.plan_fingerprint);
    }
    client.threshold = threshold;
    client.custodians = custodians;
    for (int32_t& value : client.values) value /= static_cast<int32_t>(kClients);
    fleet.updates.push_back(encrypted(table, client, 1 + i));
    fleet.clients.push_back(client);
  }
  return fleet;
}

// What the last `threshold` custodians' answers open to.
std::vector<int32_t> secret_sum(const Run& run, const Fleet& fleet, const ParameterSet& set) {
  const RingTables& ring = *ring_tables(set.id);
  const uint32_t threshold = fleet.clients[0].threshold;
  const uint32_t custodians = fleet.clients[0].custodians;
  std::vector<uint32_t> points;
  std::vector<std::vector<uint32_t>> answers;
  std::vector<const uint32_t*> rows;
  for (uint32_t index = custodians - threshold + 1; index <= custodians; ++index) {
    std::vector<uint32_t> answer(set.n, 0);
    for (const Encrypted& update : fleet.updates) {
      const Buffer<uint8_t>& share = update.shares[index - 1];
      run.report.check(add_share(ring, set.id, fleet.clients[0].plan_fingerprint, threshold, index,
                                 share.data(), share.size(), answer.data()),
                       "%s: share %u refused", set.name, index);
    }
    points.push_back(index);
    answers.push_back(answer);
  }
  for (const std::vector<uint32_t>& answer : answers) rows.push_back(answer.data());
  std::vector<uint32_t> residues(set.n);
  interpolate(ring, points, rows, 0, residues.data());
  std::vector<int32_t> centred;
  for (const uint32_t value : residues)
    centred.push_back(value > set.q / 2 ? static_cast<int32_t>(value) - static_cast<int32_t>(set.q)
                                        : static_cast<int32_t>(value));
  return centred;
}

void check_round(const Run& run, const KernelTable& table, const WireFormat& format, uint32_t threshold,
                 uint32_t custodians, Random& random) {
  const ParameterSet& set = kParameterSets[format.parameter_set];
  const std::string name = described(format);
  const Fleet fleet = sealed(table, format, threshold, custodians, random);
  std::vector<const uint8_t*> inputs;
  for (const Encrypted& update : fleet.updates) inputs.push_back(update.ciphertext.data());
  Buffer<uint8_t> aggregate(ciphertext_bytes(format));
  const SumJob job = {format.wire_bits, set.n,         format.ring_elements,
                      inputs.data(),    inputs.size(), aggregate.data()};
  sum(table, job, 2);

  const std::vector<int32_t> secrets = secret_sum(run, fleet, set);
  bool small = true;
  for (const int32_t value : secrets)
    small = small && value >= -16 * int(kClients) && value <= 16 * int(kClients);
  run.report.check(small, "%s: the sum of secrets is out of range", name.c_str());
  const Opened opening = opened(table, format, fleet.clients[0].mask_key, secrets, contents(aggregate), 3);
  std::vector<int32_t> expected(format.value_count, 0);
  for (const EncryptionCase& client : fleet.clients)
    for (size_t i = 0; i < expected.size(); ++i) expected[i] += client.values[i];
  run.report.equal(opening.values, expected, "%s, %u of %u", name.c_str(), threshold, custodians);
  run.report.check(opening.residuals.max_absolute < 1u << (format.wire_bits - format.plaintext_bits - 1),
                   "%s: residuals reach half a step", name.c_str());
}

}  // namespace

void check_rounds(const Run& run, const KernelTable& table) {
  Random random(run.seed, "rounds");
  run.report.group(table.name, "rounds");
  for (size_t i = 0; i < run.cases(1, 5); ++i)
    for (const ParameterSet& set : kParameterSets) {
      if (run.quick && set.id == 0) continue;  // twice the work
      check_round(run, table, wire_format(set, 17, 1, 10, 8, 0), 1, 1, random);
      check_round(run, table, wire_format(set, 22, 2, 8, 3, 1500), 3, 4, random);
      check_round(run, table, wire_format(set, 18, 2, 6, 9, 1), 2, 3, random);
    }
}

}  // namespace conformance
}  // namespace tensorguard
