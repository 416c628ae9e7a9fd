// Keystreams and sampling of an instruction set against the scalar kernels.

#include <vector>

#include "boundary_elements.h"
#include "checks.h"
#include "core/chacha20.h"
#include "core/dispatch.h"
#include "lanes.h"
#include "parameter_sets.h"
#include "random.h"

namespace tensorguard {
namespace conformance {
namespace {

const KernelTable& scalar() { return *supported_kernels().front(); }

struct Key {
  Key() = default;
  explicit Key(Random& random) {
    for (uint32_t& word : words) word = random.word();
  }
  uint32_t words[8];
};

Key boundary_key() {
  uint8_t bytes[32];
  for (size_t i = 0; i < sizeof bytes; ++i) bytes[i] = static_cast<uint8_t>(i);
  Key key;
  load_key(bytes, key.words);
  return key;
}

// Often the first, or one whose block of lanes wraps past 2^32.
uint32_t first_element(Random& random) {
  if (random.one_in(4)) return 0;
  return random.one_in(4) ? UINT32_MAX - random.below(16) : random.word();
}

void check_keystream(const Run& run, const KernelTable& table) {
  run.report.group(table.name, "keystream");
  Random random(run.seed, "keystream");
  for (size_t i = 0; i < run.cases(20, 2000); ++i) {
    const Key key(random);
    const uint32_t counter = random.one_in(4) ? UINT32_MAX : random.word();
    const uint32_t first = first_element(random);
    Buffer<uint32_t> rows(kBlockWords * table.lanes);
    table.keystream(key.words, counter, first, rows.data());
    const std::vector<uint32_t> expected =
        lane_by_lane(contents(rows), table.lanes, [&](size_t lane, uint32_t* column) {
          scalar().keystream(key.words, counter, first + static_cast<uint32_t>(lane), column);
        });
    run.report.equal(rows, expected, "counter %u, element %u", counter, first);
  }
}

using Sample = void (*)(uint32_t parameter_set, const uint32_t key[8], uint32_t first_element,
                        uint32_t* rows);

void check_block(const Run& run, const KernelTable& table, const ParameterSet& set,
                 Sample KernelTable::*sample, const Key& key, uint32_t first) {
  Buffer<uint32_t> rows(set.n * table.lanes);
  (table.*sample)(set.id, key.words, first, rows.data());
  const std::vector<uint32_t> expected =
      lane_by_lane(contents(rows), table.lanes, [&](size_t lane, uint32_t* column) {
        (scalar().*sample)(set.id, key.words, first + static_cast<uint32_t>(lane), column);
      });
  run.report.equal(rows, expected, "%s, element %u", set.name, first);
}

uint32_t rejected_words(const ParameterSet& set, const Key& key, uint32_t element) {
  uint32_t rejected = 0;
  for (uint32_t counter = 0; counter < set.n / kBlockWords; ++counter) {
    uint32_t words[kBlockWords];
    chacha20_block(key.words, counter, element, words);
    for (const uint32_t word : words) rejected += (word & ((1u << set.q_bits) - 1)) >= set.q ? 1 : 0;
  }
  return rejected;
}

void check_uniform(const Run& run, const KernelTable& table, const ParameterSet& set) {
  Random random(run.seed, "uniform sampling");
  for (size_t i = 0; i < run.cases(8, 100); ++i)
    check_block(run, table, set, &KernelTable::sample_uniform, Key(random), first_element(random));
  // Two rejections in one element are rare (3 in a thousand): such an element is looked for, and put into
  // every lane.
  const Key key(random);
  uint32_t element = random.word();
  while (rejected_words(set, key, element) < 2) ++element;
  for (size_t lane = 0; lane < table.lanes; ++lane)
    check_block(run, table, set, &KernelTable::sample_uniform, key, element - static_cast<uint32_t>(lane));
  for (const BoundaryElement& at : kBoundaryElements)
    if (at.parameter_set == set.id)
      check_block(run, table, set, &KernelTable::sample_uniform, boundary_key(), at.element);
}

void check_small(const Run& run, const KernelTable& table, const ParameterSet& set) {
  Random random(run.seed, "small sampling");
  for (size_t i = 0; i < run.cases(4, 50); ++i)
    check_block(run, table, set, &KernelTable::sample_small, Key(random), first_element(random));
}

}  // namespace

void check_streams(const Run& run, const KernelTable& table) {
  check_keystream(run, table);
  run.report.group(table.name, "uniform sampling");
  for (const ParameterSet& set : kParameterSets) check_uniform(run, table, set);
  run.report.group(table.name, "small sampling");
  for (const ParameterSet& set : kParameterSets) check_small(run, table, set);
}

}  // namespace conformance
}  // namespace tensorguard
