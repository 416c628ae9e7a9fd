// The groups of checks, a file each.
#ifndef TENSORGUARD_TEST_CONFORMANCE_CHECKS_H_
#define TENSORGUARD_TEST_CONFORMANCE_CHECKS_H_

#include <cstddef>
#include <cstdint>

#include "core/kernel_table.h"
#include "parameter_sets.h"
#include "report.h"

namespace tensorguard {
namespace conformance {

struct Run {
  Report& report;
  uint64_t seed;
  bool quick;  // for emulators: fewer cases, every kind of them

  size_t cases(size_t quick_count, size_t full_count) const { return quick ? quick_count : full_count; }
};

// Every wire width of both rings; quick, those that both have once only: packing is then the same code, and
// twice the work in the larger ring.
template <class Check>
void for_each_width(const Run& run, const Check& check) {
  for (const ParameterSet& set : kParameterSets)
    for (uint32_t bits = set.min_wire_bits; bits <= set.max_wire_bits; ++bits)
      if (!run.quick || set.id == 1 || bits > kParameterSets[1].max_wire_bits) check(set, bits);
}

// The one truth: the scalar kernels and what is common to all, against docs/protocol.md and published
// vectors.
void check_known_answers(const Run& run);
void check_ring(const Run& run);
void check_scalar_steps(const Run& run);
void check_scalar_packing(const Run& run);
void check_custody(const Run& run);
void check_scalar_rounds(const Run& run);

// An instruction set against the scalar kernels.
void check_streams(const Run& run, const KernelTable& table);
void check_transforms(const Run& run, const KernelTable& table);
void check_words(const Run& run, const KernelTable& table);
void check_packing(const Run& run, const KernelTable& table);
void check_sums(const Run& run, const KernelTable& table);
void check_engine(const Run& run, const KernelTable& table);
void check_pipeline(const Run& run, const KernelTable& table);

// Whole rounds on any instruction set, scalar included: what was encrypted comes out again, or is refused.
void check_rounds(const Run& run, const KernelTable& table);
void check_refusals(const Run& run, const KernelTable& table);

}  // namespace conformance
}  // namespace tensorguard

#endif  // TENSORGUARD_TEST_CONFORMANCE_CHECKS_H_
