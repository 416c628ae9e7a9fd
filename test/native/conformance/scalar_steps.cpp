// The scalar kernels' single steps against docs/protocol.md.

#include <vector>

#include "boundary_elements.h"
#include "checks.h"
#include "core/chacha20.h"
#include "core/dispatch.h"
#include "core/ring.h"
#include "parameter_sets.h"
#include "random.h"
#include "reference.h"
#include "rounding_inputs.h"

namespace tensorguard {
namespace conformance {
namespace {

const KernelTable& scalar() { return *supported_kernels().front(); }

void check_sampling(const Run& run) {
  run.report.group("scalar", "sampling against its definition");
  Random random(run.seed, "scalar sampling");
  for (const ParameterSet& set : kParameterSets)
    for (size_t i = 0; i < run.cases(4, 200); ++i) {
      uint8_t key[32];
      uint32_t key_words[8];
      random.fill(key, sizeof key);
      load_key(key, key_words);
      const uint32_t element = random.word();

      Buffer<uint32_t> uniform(set.n);
      scalar().sample_uniform(set.id, key_words, element, uniform.data());
      run.report.equal(uniform, uniform_element(key, element, set.n, set.q), "%s, uniform, element %u",
                       set.name, element);

      Buffer<uint32_t> small(set.n);
      scalar().sample_small(set.id, key_words, element, small.data());
      std::vector<uint32_t> expected;
      for (const int32_t value : small_element(key, element, set.n))
        expected.push_back(static_cast<uint32_t>(value + 16));
      run.report.equal(small, expected, "%s, small, element %u", set.name, element);
    }
}

// The first word that is rejected, and the last that is kept.
void check_boundary(const Run& run, const BoundaryElement& at) {
  const ParameterSet& set = kParameterSets[at.parameter_set];
  uint8_t key[32];
  for (size_t i = 0; i < sizeof key; ++i) key[i] = static_cast<uint8_t>(i);
  uint32_t key_words[8];
  load_key(key, key_words);
  const uint32_t word = stream_words(key, at.element, at.word + 1).back();
  run.report.check((word & ((1u << set.q_bits) - 1)) == set.q - at.below_q, "%s: element %u is none",
                   set.name, at.element);
  Buffer<uint32_t> uniform(set.n);
  scalar().sample_uniform(set.id, key_words, at.element, uniform.data());
  run.report.equal(uniform, uniform_element(key, at.element, set.n, set.q), "%s, q - %u in element %u",
                   set.name, at.below_q, at.element);
}

void check_transform(const Run& run, const ParameterSet& set) {
  Random random(run.seed, "scalar transform");
  const uint32_t psi = smallest_root(set.n, set.q);
  const RingTables& ring = *ring_tables(set.id);
  for (size_t i = 0; i < run.cases(1, 8); ++i) {
    const std::vector<uint32_t> a = random.residues(set.n, set.q);
    const std::vector<uint32_t> s = random.residues(set.n, set.q);
    Buffer<uint32_t> transformed(a);
    scalar().forward_rows(set.id, transformed.data());
    run.report.equal(transformed, evaluated(a, psi, set.q), "%s: forward", set.name);

    Buffer<uint32_t> alone(s);
    scalar().forward(set.id, alone.data());
    std::vector<Twiddle> factor;
    for (size_t j = 0; j < set.n; ++j) {
      const uint64_t w = static_cast<uint64_t>(alone[j]) * ring.n_inverse % set.q;
      factor.push_back({static_cast<uint32_t>(w), static_cast<uint32_t>((w << 32) / set.q)});
    }
    scalar().multiply_inverse_rows(set.id, factor.data(), transformed.data());
    run.report.equal(transformed, product(a, s, set.q), "%s: product by transforms", set.name);

    Buffer<uint32_t> pointwise(random.words(set.n));
    std::vector<uint32_t> expected;
    for (size_t j = 0; j < set.n; ++j)
      expected.push_back(static_cast<uint32_t>(static_cast<uint64_t>(pointwise[j]) * factor[j].w % set.q));
    scalar().multiply_rows(set.id, factor.data(), pointwise.data());
    run.report.equal(pointwise, expected, "%s: pointwise product", set.name);
  }
}

void check_roundings(const Run& run) {
  Random random(run.seed, "scalar roundings");
  const size_t count = run.cases(100, 20000);
  run.report.group("scalar", "encoding against a division");
  for (const ParameterSet& set : kParameterSets)
    for (uint32_t bits = 2; bits < set.max_wire_bits; ++bits) {
      Buffer<uint32_t> words(messages_to_encode(random, set, bits, count));
      std::vector<uint32_t> expected;
      for (size_t i = 0; i < count; ++i) expected.push_back(encoded(words[i], bits, set.q));
      scalar().encode(set.id, bits, words.data(), count);
      run.report.equal(words, expected, "%s, %u plaintext bits", set.name, bits);
    }
  run.report.group("scalar", "modulus switch against a division");
  for (const ParameterSet& set : kParameterSets)
    for (uint32_t bits = set.min_wire_bits; bits <= set.max_wire_bits; ++bits) {
      Buffer<uint32_t> words(words_to_switch(random, set, bits, count));
      std::vector<uint32_t> expected;
      const uint32_t mask = (1u << bits) - 1;
      for (size_t i = 0; i < count; ++i) expected.push_back(switched(words[i] % set.q, bits, set.q) & mask);
      scalar().switch_modulus(set.id, bits, words.data(), count);
      // What lies above the wire's bits is for the packing to drop.
      for (size_t i = 0; i < count; ++i) words[i] &= mask;
      run.report.equal(words, expected, "%s, %u wire bits", set.name, bits);
    }
}

}  // namespace

void check_scalar_steps(const Run& run) {
  check_sampling(run);
  for (const BoundaryElement& at : kBoundaryElements) check_boundary(run, at);
  run.report.group("scalar", "transforms against the schoolbook");
  for (const ParameterSet& set : kParameterSets) check_transform(run, set);
  check_roundings(run);
}

}  // namespace conformance
}  // namespace tensorguard
