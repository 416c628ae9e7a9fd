// Transforms and products of an instruction set against the scalar kernels.

#include <vector>

#include "checks.h"
#include "core/dispatch.h"
#include "core/ring.h"
#include "lanes.h"
#include "parameter_sets.h"
#include "random.h"

namespace tensorguard {
namespace conformance {
namespace {

const KernelTable& scalar() { return *supported_kernels().front(); }

// A polynomial a lane, some of them where sums are as large as they get, and some as small.
std::vector<uint32_t> polynomial_rows(Random& random, const ParameterSet& set, size_t lanes) {
  std::vector<uint32_t> rows(set.n * lanes);
  for (size_t lane = 0; lane < lanes; ++lane) {
    const uint32_t kind = random.below(6);
    for (size_t i = 0; i < set.n; ++i) {
      uint32_t& value = rows[i * lanes + lane];
      if (kind == 0) {
        value = set.q - 1;
      } else if (kind == 1) {
        value = i % 2 == 0 ? set.q - 1 : 0;
      } else if (kind == 2) {
        value = random.one_in(set.n) ? set.q - 1 : 0;
      } else {
        value = random.residue(set.q);
      }
    }
  }
  return rows;
}

std::vector<Twiddle> random_factor(Random& random, const ParameterSet& set) {
  std::vector<Twiddle> factor;
  const bool largest = random.one_in(4);
  for (size_t i = 0; i < set.n; ++i) {
    const uint32_t w = largest ? set.q - 1 : random.residue(set.q);
    factor.push_back({w, static_cast<uint32_t>((static_cast<uint64_t>(w) << 32) / set.q)});
  }
  return factor;
}

void check_forward(const Run& run, const KernelTable& table, const ParameterSet& set) {
  Random random(run.seed, "forward");
  for (size_t i = 0; i < run.cases(4, 100); ++i) {
    const std::vector<uint32_t> in = polynomial_rows(random, set, table.lanes);
    Buffer<uint32_t> rows(in);
    table.forward_rows(set.id, rows.data());
    const std::vector<uint32_t> expected = lane_by_lane(
        in, table.lanes, [&](size_t, uint32_t* column) { scalar().forward_rows(set.id, column); });
    run.report.equal(rows, expected, "%s, case %zu", set.name, i);

    Buffer<uint32_t> alone(polynomial_rows(random, set, 1));
    std::vector<uint32_t> alone_expected = contents(alone);
    table.forward(set.id, alone.data());
    scalar().forward(set.id, alone_expected.data());
    run.report.equal(alone, alone_expected, "%s, a single polynomial, case %zu", set.name, i);
  }
}

void check_inverse(const Run& run, const KernelTable& table, const ParameterSet& set) {
  Random random(run.seed, "inverse");
  for (size_t i = 0; i < run.cases(4, 100); ++i) {
    const std::vector<Twiddle> factor = random_factor(random, set);
    const std::vector<uint32_t> in = polynomial_rows(random, set, table.lanes);
    Buffer<uint32_t> rows(in);
    table.multiply_inverse_rows(set.id, factor.data(), rows.data());
    const std::vector<uint32_t> expected = lane_by_lane(in, table.lanes, [&](size_t, uint32_t* column) {
      scalar().multiply_inverse_rows(set.id, factor.data(), column);
    });
    run.report.equal(rows, expected, "%s, case %zu", set.name, i);
  }
}

void check_pointwise(const Run& run, const KernelTable& table, const ParameterSet& set) {
  Random random(run.seed, "pointwise");
  for (size_t i = 0; i < run.cases(4, 100); ++i) {
    const std::vector<Twiddle> factor = random_factor(random, set);
    // The lazy multiplication takes any 32 bits.
    const std::vector<uint32_t> in =
        i % 2 == 0 ? random.words(set.n * table.lanes) : polynomial_rows(random, set, table.lanes);
    Buffer<uint32_t> rows(in);
    table.multiply_rows(set.id, factor.data(), rows.data());
    const std::vector<uint32_t> expected = lane_by_lane(in, table.lanes, [&](size_t, uint32_t* column) {
      scalar().multiply_rows(set.id, factor.data(), column);
    });
    run.report.equal(rows, expected, "%s, case %zu", set.name, i);
  }
}

}  // namespace

void check_transforms(const Run& run, const KernelTable& table) {
  run.report.group(table.name, "forward transform");
  for (const ParameterSet& set : kParameterSets) check_forward(run, table, set);
  run.report.group(table.name, "product and inverse transform");
  for (const ParameterSet& set : kParameterSets) check_inverse(run, table, set);
  run.report.group(table.name, "pointwise product");
  for (const ParameterSet& set : kParameterSets) check_pointwise(run, table, set);
}

}  // namespace conformance
}  // namespace tensorguard
