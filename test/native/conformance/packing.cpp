// Packing of an instruction set against the scalar kernels.

#include <vector>

#include "checks.h"
#include "core/dispatch.h"
#include "core/ring.h"
#include "parameter_sets.h"
#include "random.h"

namespace tensorguard {
namespace conformance {

void check_packing(const Run& run, const KernelTable& table) {
  run.report.group(table.name, "packing");
  const KernelTable& scalar = *supported_kernels().front();
  Random random(run.seed, "packing");
  for (const ParameterSet& set : kParameterSets)
    for (uint32_t bits = set.min_wire_bits; bits <= set.max_wire_bits; ++bits)
      for (size_t lanes = 1; lanes <= kChunkLanes; ++lanes)
        for (size_t i = 0; i < run.cases(1, 4); ++i) {
          // The bits above k are to be ignored; now and then all that the switch leaves there is 2^k.
          Buffer<uint32_t> coefficients(i % 2 == 0 ? random.words(set.n * lanes)
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
}

}  // namespace conformance
}  // namespace tensorguard
