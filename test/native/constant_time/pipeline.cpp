// Quantization and noise on secret values under secret hedges.

#include <cstdio>
#include <cstring>
#include <vector>

#include "core/pipeline.h"
#include "operations.h"
#include "taint.h"

namespace tensorguard {
namespace constant_time {
namespace {

bool told(const KernelTable& table, const char* name, bool secret) {
  std::printf("%s: %s%s\n", table.name, name, secret ? "" : ": THE OUTPUT IS NOT SECRET");
  return secret;
}

std::vector<uint8_t> secret_hedge() {
  std::vector<uint8_t> hedge(kHedgeBytes, 0x5a);
  make_secret(hedge);
  return hedge;
}

// Scales, limits and where parts end are public; so is the table of thresholds.
bool run_quantization(const KernelTable& table, uint32_t parameter_set) {
  const std::vector<uint8_t> hedge = secret_hedge();
  std::vector<float> values(3 * kQuantizeUnit + 100);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 37) - 18;
  make_secret(values);
  std::vector<int32_t> levels(values.size());
  Quantization quantization;
  quantization.parameter_set = parameter_set;
  std::memset(quantization.plan_fingerprint, 0x44, sizeof quantization.plan_fingerprint);
  quantization.values = values.data();
  quantization.value_count = values.size();
  // A unit within a part of each kind, and units across parts.
  quantization.parts = {{kQuantizeUnit + 9, 1.5f, 20}, {values.size(), 300, 1 << 13}};
  quantization.levels = levels.data();
  quantization.threads = 1;
  const std::vector<PartStatistics> parts = quantize(table, quantization, hedge.data());
  bool secret = is_secret(levels);
  for (const PartStatistics& part : parts)
    secret = secret && is_secret(&part.saturated, sizeof part.saturated) &&
             is_secret(&part.sum_of_squares, sizeof part.sum_of_squares);
  return told(table, "quantization", secret);
}

bool run_noise(const KernelTable& table, uint32_t parameter_set) {
  const std::vector<uint8_t> hedge = secret_hedge();
  // Public levels: what comes out is secret for the noise alone.
  std::vector<int32_t> levels(3 * kNoiseUnit + 5, 7);
  NoiseAddition addition;
  addition.parameter_set = parameter_set;
  std::memset(addition.plan_fingerprint, 0x44, sizeof addition.plan_fingerprint);
  addition.levels = levels.data();
  addition.value_count = levels.size();
  for (uint64_t k = 0; k < 20; ++k) addition.thresholds.push_back(k << 58);
  addition.draws = 3;
  addition.threads = 1;
  add_noise(table, addition, hedge.data());
  return told(table, "noise", is_secret(levels));
}

}  // namespace

bool run_pipeline(const KernelTable& table, uint32_t parameter_set) {
  const bool secret = run_quantization(table, parameter_set);
  return run_noise(table, parameter_set) && secret;
}

}  // namespace constant_time
}  // namespace tensorguard
