// Whole encryptions and openings by an instruction set against the scalar kernels.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "checks.h"
#include "core/dispatch.h"
#include "encryption_case.h"
#include "parameter_sets.h"
#include "random.h"

namespace tensorguard {
namespace conformance {
namespace {

const KernelTable& scalar() { return *supported_kernels().front(); }

void check_encryption(const Run& run, const KernelTable& table, const EncryptionCase& input, size_t threads) {
  const Encrypted expected = encrypted(scalar(), input, 1);
  const Encrypted got = encrypted(table, input, threads);
  const std::string name = described(input.format);
  run.report.equal(got.ciphertext, contents(expected.ciphertext), "%s, %zu threads", name.c_str(), threads);
  run.report.check(got.largest == expected.largest, "%s, %zu threads: largest value %u instead of %u",
                   name.c_str(), threads, got.largest, expected.largest);
  for (size_t i = 0; i < got.shares.size(); ++i)
    run.report.equal(got.shares[i], contents(expected.shares[i]), "%s, %u of %u: share %zu", name.c_str(),
                     input.threshold, input.custodians, i + 1);
}

// An aggregate of random bits under a random secret: every residual and every message comes up.
void check_opening(const Run& run, const KernelTable& table, const WireFormat& format, Random& random,
                   size_t threads) {
  const uint32_t q = kParameterSets[format.parameter_set].q;
  uint8_t mask_key[32];
  random.fill(mask_key, sizeof mask_key);
  std::vector<int32_t> secret_sum(kParameterSets[format.parameter_set].n);
  for (int32_t& value : secret_sum) {
    value = static_cast<int32_t>(random.residue(q));
    if (random.one_in(2)) value = -value;
  }
  std::vector<uint8_t> aggregate(ciphertext_bytes(format));
  random.fill(aggregate.data(), aggregate.size());
  const Opened expected = opened(scalar(), format, mask_key, secret_sum, aggregate, 1);
  const Opened got = opened(table, format, mask_key, secret_sum, aggregate, threads);
  const std::string name = described(format);
  run.report.equal(got.values, contents(expected.values), "%s, %zu threads", name.c_str(), threads);
  run.report.check(got.residuals.max_absolute == expected.residuals.max_absolute,
                   "%s, %zu threads: largest residual %u instead of %u", name.c_str(), threads,
                   got.residuals.max_absolute, expected.residuals.max_absolute);
  run.report.check(got.residuals.sum_of_squares == expected.residuals.sum_of_squares,
                   "%s, %zu threads: squares of residuals", name.c_str(), threads);
}

// A single chunk, an even number and an odd number of chunks, the last with some or all of its lanes; and
// with all, with nearly all, or with hardly any of its values.
WireFormat shaped(const Run& run, Random& random, const ParameterSet& set, uint32_t wire_bits, size_t turn) {
  const size_t elements[] = {8, 1, 17, 24, 5, 16, 9, 23, 7, 32, 15, 25, 20};
  const size_t missing[] = {0, 1, random.word(), SIZE_MAX};
  // Counts without a common divisor: every shape comes with each number of missing values.
  const size_t count = elements[turn % run.cases(7, 13)];
  const WireFormat format = random_fold(random, set, wire_bits, count, 0);
  const size_t most = static_cast<size_t>(format.fold) * set.n - 1;
  WireFormat shape =
      wire_format(set, wire_bits, format.fold, format.field_bits, count, std::min(missing[turn % 4], most));
  // The streams' numbers are words: the largest that a format may reach is among them.
  const size_t firsts[] = {0, random.below(1u << 24), UINT32_MAX - kChunkLanes - count};
  shape.first_element = firsts[turn % 3];
  return shape;
}

Values kind_of_values(size_t turn) {
  return turn % 3 == 0 ? Values::kFields : turn % 3 == 1 ? Values::kAnything : Values::kExtremes;
}

// What format_error says of these formats, and calls `check` for each, over all wire widths.
template <class Check>
void for_each_format(const Run& run, Random& random, const Check& check) {
  size_t turn = 0;
  for (size_t i = 0; i < run.cases(1, 13); ++i)
    for (const ParameterSet& set : kParameterSets)
      for (uint32_t bits = set.min_wire_bits; bits <= set.max_wire_bits; ++bits, ++turn) {
        // Quick, the larger ring keeps a third of its widths: it is twice the work. Among them are 12 and 27,
        // where the factor of the modulus switch is cut off most, and its bounds matter.
        if (run.quick && set.id == 0 && bits % 3 != 0) continue;
        const WireFormat format = shaped(run, random, set, bits, turn);
        const char* error = format_error(format);
        run.report.check(error == nullptr, "%s: %s", described(format).c_str(),
                         error == nullptr ? "" : error);
        if (error == nullptr) check(format, turn);
      }
}

// Two threads have something to do from 17 chunks on, three from 33 on; the chunks of each are even in
// number, but for the last thread's.
template <class Check>
void for_each_threaded_format(const Run& run, Random& random, const Check& check) {
  for (const ParameterSet& set : kParameterSets) {
    if (run.quick && set.id == 0) continue;  // twice the work, and nothing more to see
    for (const auto& [elements, threads] :
         {std::pair<size_t, size_t>{16 * 8 + 5, 2}, {34 * 8 + 7, 3}, {35 * 8, 3}}) {
      if (run.quick && elements == 35 * 8) continue;
      check(random_fold(random, set, random.between(set.min_wire_bits, set.max_wire_bits), elements, 3),
            threads);
    }
  }
}

}  // namespace

void check_engine(const Run& run, const KernelTable& table) {
  run.report.group(table.name, "whole encryptions");
  Random random(run.seed, "encryptions");
  for_each_format(run, random, [&](const WireFormat& format, size_t turn) {
    check_encryption(run, table, EncryptionCase(random, format, kind_of_values(turn)), 1 + turn % 3);
  });
  for_each_threaded_format(run, random, [&](const WireFormat& format, size_t threads) {
    check_encryption(run, table, EncryptionCase(random, format, Values::kFields), threads);
  });

  run.report.group(table.name, "whole openings");
  for_each_format(run, random, [&](const WireFormat& format, size_t turn) {
    check_opening(run, table, format, random, 1 + turn % 3);
  });
  for_each_threaded_format(run, random, [&](const WireFormat& format, size_t threads) {
    check_opening(run, table, format, random, threads);
  });
}

}  // namespace conformance
}  // namespace tensorguard
