// Scalar packing and sums, bit by bit and coefficient by coefficient.

#include <vector>

#include "checks.h"
#include "core/dispatch.h"
#include "parameter_sets.h"
#include "random.h"
#include "reference.h"

namespace tensorguard {
namespace conformance {
namespace {

const KernelTable& scalar() { return *supported_kernels().front(); }

void check_packed(const Run& run, Random& random, const ParameterSet& set, uint32_t bits, size_t lanes) {
  const std::vector<uint32_t> coefficients = random.words(set.n * lanes);
  Buffer<uint32_t> words(set.n / 32 * bits * lanes);
  scalar().pack(bits, set.n, lanes, coefficients.data(), words.data());
  run.report.equal(words, packed(coefficients, bits, lanes), "%s, %u bits, %zu lanes, pack", set.name, bits,
                   lanes);

  const std::vector<uint32_t> arbitrary = random.words(words.size());
  Buffer<uint32_t> out(coefficients.size());
  scalar().unpack(bits, set.n, lanes, arbitrary.data(), out.data());
  run.report.equal(out, unpacked(arbitrary, bits, lanes), "%s, %u bits, %zu lanes, unpack", set.name, bits,
                   lanes);
}

// One chunk: how chunks follow each other is seen in whole rounds.
void check_summed(const Run& run, Random& random, const ParameterSet& set, uint32_t bits, size_t lanes,
                  size_t input_count) {
  std::vector<uint32_t> total(set.n * lanes, 0);
  std::vector<std::vector<uint32_t>> inputs;
  std::vector<const uint8_t*> pointers;
  for (size_t i = 0; i < input_count; ++i) {
    std::vector<uint32_t> coefficients = random.words(set.n * lanes);
    if (random.one_in(3)) coefficients.assign(coefficients.size(), UINT32_MAX);
    for (size_t c = 0; c < total.size(); ++c) total[c] += coefficients[c];
    inputs.push_back(std::vector<uint32_t>(set.n / 32 * bits * lanes));
    scalar().pack(bits, set.n, lanes, coefficients.data(), inputs.back().data());
  }
  for (const std::vector<uint32_t>& input : inputs)
    pointers.push_back(reinterpret_cast<const uint8_t*>(input.data()));
  Buffer<uint32_t> sum(inputs[0].size());
  const SumJob job = {
      bits, set.n, lanes, pointers.data(), input_count, reinterpret_cast<uint8_t*>(sum.data())};
  scalar().sum(job, 0, 1);
  run.report.equal(sum, packed(total, bits, lanes), "%s, %u bits, %zu lanes, %zu inputs", set.name, bits,
                   lanes, input_count);
}

}  // namespace

void check_scalar_packing(const Run& run) {
  Random random(run.seed, "scalar packing");
  run.report.group("scalar", "packing bit by bit");
  for_each_width(run, [&](const ParameterSet& set, uint32_t bits) {
    if (run.quick) return check_packed(run, random, set, bits, 1 + bits % 3);
    for (size_t lanes = 1; lanes <= 8; ++lanes) check_packed(run, random, set, bits, lanes);
  });
  run.report.group("scalar", "sums coefficient by coefficient");
  for_each_width(run, [&](const ParameterSet& set, uint32_t bits) {
    if (run.quick) return check_summed(run, random, set, bits, 1, random.between(1, 9));
    for (int i = 0; i < 6; ++i)
      check_summed(run, random, set, bits, random.between(1, 8), random.between(1, 20));
  });
}

}  // namespace conformance
}  // namespace tensorguard
