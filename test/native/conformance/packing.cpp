// Packing of an instruction set against the scalar kernels.

#include <vector>

#include "checks.h"
#include "core/dispatch.h"
#include "core/ring.h"
#include "parameter_sets.h"
#include "random.h"

namespace tensorguard {
namespace conformance {

namespace {

void check_chunk(const Run& run, const KernelTable& table, Random& random, const ParameterSet& set,
                 uint32_t bits, size_t lanes) {
  const KernelTable& scalar = *supported_kernels().front();
  // The bits above k are to be ignored; often all that stands there is a 2^k, which the modulus switch makes.
  Buffer<uint32_t> coefficients(random.one_in(2) ? random.words(set.n * lanes)
                                                 : random.residues(set.n * lanes, (1u << bits) + 1));
  std::vector<uint32_t> expected(coefficients.size() / 32 * bits);
  Buffer<uint32_t> packed(expected.size());
  table.pack(bits, set.n, lanes, coefficients.data(), packed.data());
  scalar.pack(bits, set.n, lanes, coefficients.data(), expected.data());
  run.report.equal(packed, expected, "%s, %u bits, %zu lanes, pack", set.name, bits, lanes);

  std::vector<uint32_t> expected_out(coefficients.size());
  Buffer<uint32_t> out(coefficients.size());
  const Buffer<uint32_t> words(random.words(expected.size()));
  table.unpack(bits, set.n, lanes, words.data(), out.data());
  scalar.unpack(bits, set.n, lanes, words.data(), expected_out.data());
  run.report.equal(out, expected_out, "%s, %u bits, %zu lanes, unpack", set.name, bits, lanes);
}

}  // namespace

void check_packing(const Run& run, const KernelTable& table) {
  run.report.group(table.name, "packing");
  Random random(run.seed, "packing");
  for_each_width(run, [&](const ParameterSet& set, uint32_t bits) {
    for (size_t i = 0; i < run.cases(1, 4); ++i)
      for (size_t lanes = 1; lanes <= kChunkLanes; ++lanes) check_chunk(run, table, random, set, bits, lanes);
  });
}

}  // namespace conformance
}  // namespace tensorguard
