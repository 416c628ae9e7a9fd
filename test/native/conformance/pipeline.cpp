// Rotation, quantization and noise of an instruction set against the scalar kernels, bit for bit.

#include <cmath>
#include <cstring>
#include <vector>

#include "checks.h"
#include "core/dispatch.h"
#include "core/pipeline.h"
#include "random.h"

namespace tensorguard {
namespace conformance {
namespace {

const KernelTable& scalar() { return *supported_kernels().front(); }

// Floats of many magnitudes, some of them zero.
std::vector<float> random_floats(Random& random, size_t count) {
  std::vector<float> out(count);
  for (float& value : out) {
    if (random.one_in(20)) continue;
    value = std::ldexp(static_cast<float>(random.word()) - 2147483648.0f,
                       -31 - static_cast<int>(random.below(8)));
  }
  return out;
}

// Bits rather than numbers: 0 and -0 differ.
Buffer<uint32_t> float_bits(const std::vector<float>& values) {
  Buffer<uint32_t> out(values.size());
  std::memcpy(out.data(), values.data(), values.size() * sizeof(float));
  return out;
}

RotationPlan random_plan(Random& random, size_t value_count, size_t kept_count, uint32_t block_log2) {
  RotationPlan plan;
  for (uint32_t& word : plan.sign_key) word = random.word();
  for (uint32_t& word : plan.sample_key) word = random.word();
  plan.tensor_index = random.one_in(4) ? kMaxTensorIndex : random.below(kMaxTensorIndex);
  plan.block_log2 = block_log2;
  plan.value_count = value_count;
  plan.kept_count = kept_count;
  return plan;
}

struct Rotated {
  Buffer<uint32_t> values;
  Buffer<uint32_t> kept;
  double sum_of_squares;
};

Rotated rotated(const KernelTable& table, const RotationPlan& plan, const std::vector<float>& values) {
  Rotated result = {float_bits(values), Buffer<uint32_t>(plan.kept_count), 0};
  RotateJob job;
  job.plan = plan;
  job.values = reinterpret_cast<float*>(result.values.data());
  job.kept = reinterpret_cast<float*>(result.kept.data());
  result.sum_of_squares = table.pipeline.rotate(job);
  return result;
}

Buffer<uint32_t> rotated_back(const KernelTable& table, const RotationPlan& plan,
                              const std::vector<uint32_t>& levels, float scale) {
  const Buffer<uint32_t> in(levels);
  Buffer<uint32_t> values(plan.value_count);
  RotateBackJob job;
  job.plan = plan;
  job.levels = reinterpret_cast<const int32_t*>(in.data());
  job.scale = scale;
  job.values = reinterpret_cast<float*>(values.data());
  table.pipeline.rotate_back(job);
  return values;
}

void check_rotation(const Run& run, const KernelTable& table, Random& random, size_t value_count,
                    uint32_t block_log2) {
  const size_t kept_count =
      random.one_in(2) ? value_count : 1 + random.below(static_cast<uint32_t>(value_count));
  const RotationPlan plan = random_plan(random, value_count, kept_count, block_log2);
  const std::vector<float> values = random_floats(random, value_count);
  const Rotated expected = rotated(scalar(), plan, values);
  const Rotated got = rotated(table, plan, values);
  const char* format = "%zu values, blocks of 2^%u, %zu kept";
  run.report.equal(got.values, contents(expected.values), format, value_count, block_log2, kept_count);
  run.report.equal(got.kept, contents(expected.kept), format, value_count, block_log2, kept_count);
  run.report.check(got.sum_of_squares == expected.sum_of_squares, format, value_count, block_log2,
                   kept_count);

  std::vector<uint32_t> levels(kept_count);
  for (uint32_t& level : levels) level = random.below(1u << 24) - (1u << 23);
  const Buffer<uint32_t> back = rotated_back(scalar(), plan, levels, 0.37f);
  run.report.equal(rotated_back(table, plan, levels, 0.37f), contents(back), format, value_count, block_log2,
                   kept_count);
}

// Every size of block, with all sizes of rest; and blocks and windows of signs that end.
void check_rotations(const Run& run, const KernelTable& table) {
  run.report.group(table.name, "rotation");
  Random random(run.seed, "rotation");
  for (uint32_t log2 = 0; log2 <= 16; ++log2)
    for (size_t i = 0; i < run.cases(2, 30); ++i)
      check_rotation(run, table, random, 1 + random.below(run.quick ? 1500 : 20000), log2);
  for (const uint32_t log2 : {2u, 12u, 13u}) check_rotation(run, table, random, 2 * 8192 + 4095, log2);
  if (!run.quick) check_rotation(run, table, random, (1 << 17) + 1, 16);
}

Quantization random_quantization(Random& random, size_t value_count) {
  Quantization quantization;
  quantization.parameter_set = random.below(2);
  random.fill(quantization.plan_fingerprint, sizeof quantization.plan_fingerprint);
  quantization.value_count = value_count;
  const uint32_t limits[] = {1, 7, 127, 2047, 2048, kMaxLevelLimit};
  const float factors[] = {0, 1, 3.3f, -200, 1e6f, 1e38f};
  for (size_t end = 0; end < value_count;) {
    end += random.one_in(2) ? random.below(40) : random.below(static_cast<uint32_t>(value_count) + 1);
    if (end > value_count) end = value_count;
    quantization.parts.push_back({end, factors[random.below(6)], limits[random.below(6)]});
  }
  return quantization;
}

void check_quantization(const Run& run, const KernelTable& table, Random& random, size_t value_count,
                        size_t threads) {
  Quantization quantization = random_quantization(random, value_count);
  std::vector<float> values = random_floats(random, value_count);
  const float special[] = {HUGE_VALF, -HUGE_VALF, std::nanf(""), 1e38f, -0.0f};
  for (const float value : special) values[random.below(static_cast<uint32_t>(value_count))] = value;
  const Buffer<uint32_t> in = float_bits(values);
  quantization.values = reinterpret_cast<const float*>(in.data());
  uint8_t hedge[kHedgeBytes];
  random.fill(hedge, sizeof hedge);

  Buffer<uint32_t> expected(value_count);
  Buffer<uint32_t> got(value_count);
  quantization.levels = reinterpret_cast<int32_t*>(expected.data());
  quantization.threads = 1;
  const std::vector<PartStatistics> expected_parts = quantize(scalar(), quantization, hedge);
  quantization.levels = reinterpret_cast<int32_t*>(got.data());
  quantization.threads = threads;
  const std::vector<PartStatistics> parts = quantize(table, quantization, hedge);
  run.report.equal(got, contents(expected), "%zu values, %zu threads", value_count, threads);
  for (size_t i = 0; i < parts.size(); ++i)
    run.report.check(parts[i].saturated == expected_parts[i].saturated &&
                         parts[i].sum_of_squares == expected_parts[i].sum_of_squares,
                     "%zu values, %zu threads: statistics of part %zu", value_count, threads, i);
}

void check_quantizations(const Run& run, const KernelTable& table) {
  run.report.group(table.name, "quantization");
  Random random(run.seed, "quantization");
  for (size_t i = 0; i < run.cases(15, 300); ++i)
    check_quantization(run, table, random, 1 + random.below(4000), 1 + i % 3);
  check_quantization(run, table, random, 32768 + 1000, 2);
  if (!run.quick) check_quantization(run, table, random, 3 * 32768 + 77, 3);
}

// Thresholds that often share their upper or lower words with each other.
std::vector<uint64_t> random_thresholds(Random& random, size_t count) {
  std::vector<uint64_t> out(count);
  uint64_t last = 0;
  for (uint64_t& threshold : out) {
    const uint64_t step = random.one_in(3) ? random.below(3) : (uint64_t{random.word()} << 32) / count / 2;
    last += random.one_in(3) ? step << 31 >> 1 : step;
    threshold = last = last >> 63 != 0 ? (uint64_t{1} << 63) - 1 : last;
  }
  return out;
}

void check_noise_of(const Run& run, const KernelTable& table, Random& random, size_t value_count,
                    size_t thresholds, uint32_t draws, size_t threads) {
  NoiseAddition addition;
  addition.parameter_set = random.below(2);
  random.fill(addition.plan_fingerprint, sizeof addition.plan_fingerprint);
  addition.value_count = value_count;
  addition.thresholds = random_thresholds(random, thresholds);
  addition.draws = draws;
  uint8_t hedge[kHedgeBytes];
  random.fill(hedge, sizeof hedge);
  Buffer<uint32_t> expected(random.words(value_count));
  Buffer<uint32_t> got(contents(expected));
  const char* error = noise_error(addition);
  run.report.check(error == nullptr, "%zu thresholds: %s", thresholds, error == nullptr ? "" : error);
  addition.levels = reinterpret_cast<int32_t*>(expected.data());
  addition.threads = 1;
  add_noise(scalar(), addition, hedge);
  addition.levels = reinterpret_cast<int32_t*>(got.data());
  addition.threads = threads;
  add_noise(table, addition, hedge);
  run.report.equal(got, contents(expected), "%zu values, %zu thresholds, %u draws, %zu threads", value_count,
                   thresholds, draws, threads);
}

void check_noise(const Run& run, const KernelTable& table) {
  run.report.group(table.name, "noise");
  Random random(run.seed, "noise");
  for (size_t i = 0; i < run.cases(15, 300); ++i)
    check_noise_of(run, table, random, 1 + random.below(600), 1 + random.below(100), 1 + random.below(11), 1);
  check_noise_of(run, table, random, 130, 5000, 1, 1);
  check_noise_of(run, table, random, 2 * 2048 + 300, 3, 2, 3);
}

}  // namespace

void check_pipeline(const Run& run, const KernelTable& table) {
  check_rotations(run, table);
  check_quantizations(run, table);
  check_noise(run, table);
}

}  // namespace conformance
}  // namespace tensorguard
