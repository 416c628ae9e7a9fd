// Encoding and modulus switch of an instruction set against the scalar kernels.

#include <cstddef>
#include <vector>

#include "checks.h"
#include "core/dispatch.h"
#include "parameter_sets.h"
#include "random.h"
#include "rounding_inputs.h"

namespace tensorguard {
namespace conformance {
namespace {

using Operation = void (*)(uint32_t parameter_set, uint32_t bits, uint32_t* words, size_t count);

// All of them at once, and a few: less than a register, and a register and a rest.
void check_operation(const Run& run, const KernelTable& table, const ParameterSet& set,
                     Operation KernelTable::*operation, uint32_t bits, const std::vector<uint32_t>& in) {
  const KernelTable& scalar = *supported_kernels().front();
  for (const size_t count : {in.size(), size_t{1}, table.lanes - 1, table.lanes + 1}) {
    if (count > in.size() || count == 0) continue;
    std::vector<uint32_t> expected(in.end() - static_cast<std::ptrdiff_t>(count), in.end());
    Buffer<uint32_t> words(expected);
    (table.*operation)(set.id, bits, words.data(), count);
    (scalar.*operation)(set.id, bits, expected.data(), count);
    run.report.equal(words, expected, "%s, %u bits, %zu words", set.name, bits, count);
  }
}

}  // namespace

void check_words(const Run& run, const KernelTable& table) {
  Random random(run.seed, "words");
  // Not a multiple of any number of lanes.
  const size_t count = run.cases(203, 50003);
  run.report.group(table.name, "encoding");
  for (const ParameterSet& set : kParameterSets)
    for (uint32_t bits = 2; bits < set.max_wire_bits; ++bits)
      check_operation(run, table, set, &KernelTable::encode, bits,
                      messages_to_encode(random, set, bits, count));
  run.report.group(table.name, "modulus switch");
  for (const ParameterSet& set : kParameterSets)
    for (uint32_t bits = set.min_wire_bits; bits <= set.max_wire_bits; ++bits)
      check_operation(run, table, set, &KernelTable::switch_modulus, bits,
                      words_to_switch(random, set, bits, count));
}

}  // namespace conformance
}  // namespace tensorguard
