// Arithmetic mod q and the transform tables.

#include <vector>

#include "checks.h"
#include "core/ring.h"
#include "parameter_sets.h"
#include "random.h"
#include "reference.h"

namespace tensorguard {
namespace conformance {
namespace {

void check_tables(const Run& run, const ParameterSet& set) {
  const RingTables& ring = *ring_tables(set.id);
  run.report.check(
      ring.n == set.n && (1u << ring.log_n) == set.n && ring.q == set.q && ring.q_bits == set.q_bits,
      "%s: n, q and their widths", set.name);
  run.report.check(static_cast<uint64_t>(ring.n_inverse) * set.n % set.q == 1, "%s: 1/n", set.name);

  const uint32_t psi = smallest_root(set.n, set.q);
  std::vector<uint32_t> expected;
  std::vector<uint32_t> got;
  for (uint32_t i = 0; i < set.n; ++i) {
    const uint32_t exponent = reversed_bits(i, ring.log_n);
    const uint32_t power = power_mod(psi, exponent, set.q);
    // psi has order 2n.
    const uint32_t inverse = power_mod(psi, 2 * set.n - exponent, set.q);
    for (const uint32_t w : {power, inverse}) {
      expected.push_back(w);
      expected.push_back(static_cast<uint32_t>((static_cast<uint64_t>(w) << 32) / set.q));
    }
    for (const Twiddle& twiddle : {ring.forward[i], ring.inverse[i]}) {
      got.push_back(twiddle.w);
      got.push_back(twiddle.shoup);
    }
  }
  run.report.equal(Buffer<uint32_t>(got), expected, "%s: twiddle factors and companions", set.name);
}

void check_operations(const Run& run, const ParameterSet& set) {
  const RingTables& ring = *ring_tables(set.id);
  const uint64_t q = set.q;
  Random random(run.seed, "arithmetic");
  for (size_t i = 0; i < run.cases(2000, 200000); ++i) {
    const uint32_t a = random.residue(set.q);
    const uint32_t b = random.residue(set.q);
    const uint32_t x = random.one_in(4) ? UINT32_MAX - random.below(4) : random.word();
    const uint32_t companion = static_cast<uint32_t>((static_cast<uint64_t>(b) << 32) / q);
    run.report.check(shoup_companion(b, ring) == companion, "%s: companion of %u", set.name, b);
    run.report.check(multiply_shoup(x, b, companion, set.q) == static_cast<uint64_t>(x) * b % q,
                     "%s: %u * %u by the companion", set.name, x, b);
    run.report.check(multiply_mod(a, b, ring) == static_cast<uint64_t>(a) * b % q, "%s: %u * %u", set.name, a,
                     b);
    const uint32_t modulus = random.one_in(2) ? set.q : random.word();
    run.report.check(reduce_once(x, modulus) == (x >= modulus ? x - modulus : x), "%s: %u reduced by %u",
                     set.name, x, modulus);
  }
}

}  // namespace

void check_ring(const Run& run) {
  run.report.group("scalar", "transform tables");
  for (const ParameterSet& set : kParameterSets) check_tables(run, set);
  run.report.check(ring_tables(2) == nullptr, "a third parameter set");
  run.report.group("scalar", "arithmetic mod q");
  for (const ParameterSet& set : kParameterSets) check_operations(run, set);
}

}  // namespace conformance
}  // namespace tensorguard
