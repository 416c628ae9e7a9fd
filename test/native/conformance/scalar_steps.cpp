// The scalar kernels' single steps against docs/protocol.md.

#include <vector>

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
      Buffer<uint32_t> words(residues_to_switch(random, set, bits, count));
      std::vector<uint32_t> expected;
      for (size_t i = 0; i < count; ++i) expected.push_back(switched(words[i], bits, set.q));
      scalar().switch_modulus(set.id, bits, words.data(), count);
      run.report.equal(words, expected, "%s, %u wire bits", set.name, bits);
    }
}

void check_bits(const Run& run) {
  run.report.group("scalar", "packing bit by bit");
  Random random(run.seed, "scalar packing");
  for (const ParameterSet& set : kParameterSets)
    for (uint32_t bits = set.min_wire_bits; bits <= set.max_wire_bits; ++bits)
      for (size_t i = 0; i < run.cases(1, 8); ++i) {
        // Quick runs meet every width of a chunk, too.
        const size_t lanes = run.quick ? 1 + bits % 3 : 1 + i;
        const std::vector<uint32_t> coefficients = random.words(set.n * lanes);
        Buffer<uint32_t> words(set.n / 32 * bits * lanes);
        scalar().pack(bits, set.n, lanes, coefficients.data(), words.data());
        run.report.equal(words, packed(coefficients, bits, lanes), "%s, %u bits, %zu lanes, pack", set.name,
                         bits, lanes);
        const std::vector<uint32_t> arbitrary = random.words(words.size());
        Buffer<uint32_t> out(coefficients.size());
        scalar().unpack(bits, set.n, lanes, arbitrary.data(), out.data());
        run.report.equal(out, unpacked(arbitrary, bits, lanes), "%s, %u bits, %zu lanes, unpack", set.name,
                         bits, lanes);
      }
}

void check_sum(const Run& run) {
  run.report.group("scalar", "sums coefficient by coefficient");
  Random random(run.seed, "scalar sums");
  for (const ParameterSet& set : kParameterSets)
    for (uint32_t bits = set.min_wire_bits; bits <= set.max_wire_bits; ++bits)
      for (size_t i = 0; i < run.cases(1, 6); ++i) {
        // Elements of a single chunk: how chunks follow each other is compared elsewhere.
        const size_t lanes = run.quick ? 1 : random.between(1, 8);
        const size_t input_count = random.between(1, 20);
        std::vector<uint32_t> total(set.n * lanes, 0);
        std::vector<std::vector<uint32_t>> inputs;
        std::vector<const uint8_t*> pointers;
        for (size_t input = 0; input < input_count; ++input) {
          std::vector<uint32_t> coefficients = random.words(set.n * lanes);
          if (random.one_in(3)) coefficients.assign(coefficients.size(), UINT32_MAX);
          for (size_t c = 0; c < total.size(); ++c) total[c] += coefficients[c];
          inputs.push_back(std::vector<uint32_t>(set.n / 32 * bits * lanes));
          scalar().pack(bits, set.n, lanes, coefficients.data(), inputs.back().data());
        }
        for (const std::vector<uint32_t>& input : inputs)
          pointers.push_back(reinterpret_cast<const uint8_t*>(input.data()));
        Buffer<uint32_t> sum(inputs[0].size());
        SumJob job = {
            bits, set.n, lanes, pointers.data(), input_count, reinterpret_cast<uint8_t*>(sum.data())};
        scalar().sum(job, 0, 1);
        run.report.equal(sum, packed(total, bits, lanes), "%s, %u bits, %zu lanes, %zu inputs", set.name,
                         bits, lanes, input_count);
      }
}

}  // namespace

void check_scalar_steps(const Run& run) {
  check_sampling(run);
  run.report.group("scalar", "transforms against the schoolbook");
  for (const ParameterSet& set : kParameterSets) check_transform(run, set);
  check_roundings(run);
  check_bits(run);
  check_sum(run);
}

}  // namespace conformance
}  // namespace tensorguard
