// Sums of packed ciphertexts by an instruction set against the scalar kernels.

#include <cstring>
#include <vector>

#include "checks.h"
#include "core/chunk.h"
#include "core/dispatch.h"
#include "core/engine.h"
#include "parameter_sets.h"
#include "random.h"

namespace tensorguard {
namespace conformance {
namespace {

constexpr uint32_t kMostInputs = 20;
constexpr uint32_t kMostElements = 20;

class SumCase {
 public:
  SumCase(Random& random, const ParameterSet& set, uint32_t wire_bits, size_t ring_elements,
          size_t input_count)
      : set_(set), wire_bits_(wire_bits), ring_elements_(ring_elements) {
    const size_t words = ring_elements * set.n / 32 * wire_bits;
    for (size_t i = 0; i < input_count; ++i)
      inputs_.emplace_back(random.one_in(4) ? std::vector<uint32_t>(words, UINT32_MAX) : random.words(words));
    expected_.resize(words);
    summed(*supported_kernels().front(), pointers(), expected_.data(), 1);
  }

  void check(const Run& run, const KernelTable& table, bool in_place, size_t threads) {
    Buffer<uint32_t> sum(expected_.size());
    std::vector<const uint8_t*> from = pointers();
    if (in_place) {
      std::memcpy(sum.data(), inputs_[0].data(), sum.size() * sizeof(uint32_t));
      from[0] = reinterpret_cast<const uint8_t*>(sum.data());
    }
    summed(table, from, sum.data(), threads);
    run.report.equal(sum, expected_, "%s, %u bits, %zu elements, %zu inputs%s, %zu threads", set_.name,
                     wire_bits_, ring_elements_, inputs_.size(), in_place ? " in place" : "", threads);
  }

  // Some chunks, and no others.
  void check_range(const Run& run, const KernelTable& table, size_t begin, size_t end) {
    Buffer<uint32_t> sum(expected_.size());
    std::vector<uint32_t> expected = contents(sum);
    const size_t chunk_words = kChunkLanes * set_.n / 32 * wire_bits_;
    for (size_t i = begin * chunk_words; i < end * chunk_words && i < expected.size(); ++i)
      expected[i] = expected_[i];
    const std::vector<const uint8_t*> from = pointers();
    table.sum(job(from, sum.data()), begin, end);
    run.report.equal(sum, expected, "%s, %u bits, %zu elements, %zu inputs, chunks %zu to %zu", set_.name,
                     wire_bits_, ring_elements_, inputs_.size(), begin, end);
  }

 private:
  std::vector<const uint8_t*> pointers() const {
    std::vector<const uint8_t*> out;
    for (const Buffer<uint32_t>& input : inputs_)
      out.push_back(reinterpret_cast<const uint8_t*>(input.data()));
    return out;
  }
  SumJob job(const std::vector<const uint8_t*>& from, uint32_t* to) const {
    return {wire_bits_, set_.n, ring_elements_, from.data(), from.size(), reinterpret_cast<uint8_t*>(to)};
  }
  void summed(const KernelTable& table, const std::vector<const uint8_t*>& from, uint32_t* to,
              size_t threads) const {
    sum(table, job(from, to), threads);
  }

  const ParameterSet& set_;
  uint32_t wire_bits_;
  size_t ring_elements_;
  std::vector<Buffer<uint32_t>> inputs_;
  std::vector<uint32_t> expected_;
};

void check_all_widths(const Run& run, const KernelTable& table) {
  Random random(run.seed, "sums");
  uint32_t turn = 0;
  for_each_width(run, [&](const ParameterSet& set, uint32_t bits) {
    const auto check = [&](uint32_t elements, uint32_t inputs) {
      SumCase(random, set, bits, elements, inputs).check(run, table, random.one_in(2), random.between(1, 3));
    };
    if (run.quick) {
      // Strides without a common divisor with 20: over the widths every count of either is met.
      check(1 + 7 * turn % kMostElements, 1 + 9 * turn % kMostInputs);
      ++turn;
      return;
    }
    for (uint32_t count = 1; count <= kMostInputs; ++count) check(random.between(1, kMostElements), count);
    for (uint32_t count = 1; count <= kMostElements; ++count) check(count, random.between(1, kMostInputs));
  });
}

// Sums are made a stripe of 128 KiB at a time: these take more than one, the last of them ragged.
void check_stripes(const Run& run, const KernelTable& table, const ParameterSet& set) {
  Random random(run.seed, "stripes");
  const size_t elements = run.cases(3 * kChunkLanes + 3, 9 * kChunkLanes + 3);
  for (const size_t inputs : {size_t{1}, size_t{3}, size_t{11}}) {
    SumCase sum(random, set, set.max_wire_bits, elements, inputs);
    sum.check(run, table, false, 1);
    sum.check(run, table, true, 1);
    sum.check_range(run, table, 0, 2);
    sum.check_range(run, table, 2, chunk_count(elements));
  }
}

// Two threads have something to do from 17 chunks on, three from 33 on.
void check_threads(const Run& run, const KernelTable& table, const ParameterSet& set) {
  Random random(run.seed, "threaded sums");
  for (const size_t elements : {18 * kChunkLanes + 5, 35 * kChunkLanes}) {
    SumCase sum(random, set, run.quick ? 5 : random.between(set.min_wire_bits, set.max_wire_bits), elements,
                3);
    for (size_t threads = 1; threads <= 3; ++threads) sum.check(run, table, threads == 2, threads);
  }
}

}  // namespace

void check_sums(const Run& run, const KernelTable& table) {
  run.report.group(table.name, "sums");
  check_all_widths(run, table);
  for (const ParameterSet& set : kParameterSets) {
    check_stripes(run, table, set);
    check_threads(run, table, set);
  }
}

}  // namespace conformance
}  // namespace tensorguard
