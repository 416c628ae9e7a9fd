// Values beyond the plan's bound on one instruction set: the size of the largest is told, and nothing is left
// that could be sent.

#include <string>
#include <vector>

#include "checks.h"
#include "encryption_case.h"
#include "parameter_sets.h"
#include "random.h"

namespace tensorguard {
namespace conformance {
namespace {

void check_at_bound(const Run& run, const KernelTable& table, EncryptionCase input, size_t at) {
  const std::string name = described(input.format);
  input.values[at] = -static_cast<int32_t>(input.value_bound);
  const Encrypted allowed = encrypted(table, input, 1);
  run.report.check(allowed.largest == input.value_bound, "%s: the bound itself at %zu gives %u", name.c_str(),
                   at, allowed.largest);
  run.report.check(contents(allowed.ciphertext) != std::vector<uint8_t>(allowed.ciphertext.size(), 0),
                   "%s: wiped at the bound", name.c_str());
}

void check_beyond_bound(const Run& run, const KernelTable& table, EncryptionCase input, size_t at,
                        int32_t sign) {
  const std::string name = described(input.format);
  input.values[at] = sign * static_cast<int32_t>(input.value_bound + 1);
  const Encrypted refused = encrypted(table, input, 1);
  run.report.check(refused.largest == input.value_bound + 1, "%s: a value beyond the bound at %zu gives %u",
                   name.c_str(), at, refused.largest);
  run.report.equal(refused.ciphertext, std::vector<uint8_t>(refused.ciphertext.size(), 0),
                   "%s: ciphertext not wiped", name.c_str());
  for (const Buffer<uint8_t>& share : refused.shares)
    run.report.equal(share, std::vector<uint8_t>(share.size(), 0), "%s: share not wiped", name.c_str());
}

// In every field of the first chunk, and in the very last value.
void check_format(const Run& run, const KernelTable& table, const WireFormat& format, Random& random) {
  EncryptionCase input(random, format, Values::kFields);
  input.value_bound = (1u << (format.field_bits - 1)) - 1;
  check_at_bound(run, table, input, random.below(static_cast<uint32_t>(format.value_count)));
  check_beyond_bound(run, table, input, format.value_count - 1, 1);
  const size_t lanes = format.ring_elements < kChunkLanes ? format.ring_elements : kChunkLanes;
  const size_t plane = lanes * kParameterSets[format.parameter_set].n;
  for (uint32_t field = 0; field < format.fold; ++field) {
    const size_t at = field * plane + random.below(static_cast<uint32_t>(plane));
    if (at < format.value_count) check_beyond_bound(run, table, input, at, field % 2 == 0 ? -1 : 1);
  }
}

}  // namespace

void check_refusals(const Run& run, const KernelTable& table) {
  Random random(run.seed, "refusals");
  run.report.group(table.name, "values beyond the bound");
  for (size_t i = 0; i < run.cases(1, 8); ++i)
    for (const ParameterSet& set : kParameterSets) {
      if (run.quick && set.id == 0) continue;  // twice the work
      // Whole chunks, read in place; one alone, and a rest, which may be staged.
      check_format(run, table, wire_format(set, 20, 3, 5, 16, 0), random);
      check_format(run, table, wire_format(set, 16, 1, 9, 8, 0), random);
      check_format(run, table, wire_format(set, 20, 2, 7, 3, 700), random);
    }
}

}  // namespace conformance
}  // namespace tensorguard
