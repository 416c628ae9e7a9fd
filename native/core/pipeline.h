// Quantization and noise under keys of their own, over threads.
#ifndef TENSORGUARD_CORE_PIPELINE_H_
#define TENSORGUARD_CORE_PIPELINE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine.h"
#include "kernel_table.h"

namespace tensorguard {

struct Quantization {
  uint32_t parameter_set;
  uint8_t plan_fingerprint[32];
  const float* values;
  size_t value_count;
  std::vector<QuantizePart> parts;  // the last one ends at value_count
  int32_t* levels;
  size_t threads;
};

// One entry a part. The randomness is that of the stream "quantization" of the hedge.
std::vector<PartStatistics> quantize(const KernelTable& kernels, const Quantization& quantization,
                                     const uint8_t hedge[kHedgeBytes]);

struct NoiseAddition {
  uint32_t parameter_set;
  uint8_t plan_fingerprint[32];
  int32_t* levels;
  size_t value_count;
  std::vector<uint64_t> thresholds;
  uint32_t draws;
  size_t threads;
};

// Adds samples to the levels; the randomness is that of the stream "noise" of the hedge.
void add_noise(const KernelTable& kernels, const NoiseAddition& addition, const uint8_t hedge[kHedgeBytes]);

// Nullptr where the table and the number of draws are within the kernels' bounds; else what is wrong.
const char* noise_error(const NoiseAddition& addition);

}  // namespace tensorguard

#endif  // TENSORGUARD_CORE_PIPELINE_H_
