// The jobs between a delta and the integers that are encrypted, and an instruction set's kernels for them
// (docs/protocol.md).
#ifndef TENSORGUARD_CORE_PIPELINE_JOBS_H_
#define TENSORGUARD_CORE_PIPELINE_JOBS_H_

#include <cstddef>
#include <cstdint>

namespace tensorguard {

// Streams that lie side by side here: value i draws from stream i mod 16, so that sixteen neighbours draw at
// once.
constexpr size_t kStreams = 16;

constexpr uint32_t kMaxBlockLog2 = 16;
// Value counts are below 2^32, and so are positions and block counters.
constexpr uint64_t kMaxValues = UINT32_MAX;
// Sixteen nonces a tensor have to fit 32 bits.
constexpr uint32_t kMaxTensorIndex = (1u << 28) - 1;
constexpr uint32_t kMaxLevelLimit = 1u << 20;
constexpr size_t kMaxThresholds = 1u << 16;
constexpr uint32_t kMaxDraws = (1u << 16) - 1;

// What the rotation and the subsample of one tensor are made from; all of it is public.
struct RotationPlan {
  uint32_t sign_key[8];
  uint32_t sample_key[8];
  uint32_t tensor_index;
  uint32_t block_log2;  // 0: no rotation
  size_t value_count;   // n, 1 ... kMaxValues
  size_t kept_count;    // K, 1 ... n
};

struct RotateJob {
  RotationPlan plan;
  float* values;  // n, in place
  float* kept;    // K; `values` itself where K = n, or memory of its own
};

struct RotateBackJob {
  RotationPlan plan;
  const int32_t* levels;  // K
  float scale;
  float* values;  // n
};

// Neighbouring values that share a scale.
struct QuantizePart {
  size_t end;  // the first value behind it
  float factor;
  uint32_t limit;  // 1 ... kMaxLevelLimit
};

struct PartStatistics {
  uint64_t saturated;
  uint64_t sum_of_squares;  // of levels
};

struct QuantizeJob {
  uint32_t key[8];
  const float* values;
  size_t value_count;
  const QuantizePart* parts;
  size_t part_count;
  int32_t* levels;
};
// Values of one block of each of the sixteen streams: two a word.
constexpr size_t kQuantizeUnit = kStreams * 32;

struct NoiseJob {
  uint32_t key[8];
  int32_t* levels;  // in place
  size_t value_count;
  const uint64_t* thresholds;  // ascending, below 2^63
  size_t threshold_count;
  uint32_t draws;
};
// Values whose draws are whole blocks, whatever the number of draws: a draw takes two words.
constexpr size_t kNoiseUnit = kStreams * 8;

struct PipelineKernels {
  // The sum of squares of what is kept; not finite where a value is not. Throws std::bad_alloc.
  double (*rotate)(const RotateJob& job);
  void (*rotate_back)(const RotateBackJob& job);
  // Values [begin, end) with begin a multiple of the unit; adds to statistics[part]. Throws std::bad_alloc.
  void (*quantize)(const QuantizeJob& job, size_t begin, size_t end, PartStatistics* statistics);
  void (*add_noise)(const NoiseJob& job, size_t begin, size_t end);
};

}  // namespace tensorguard

#endif  // TENSORGUARD_CORE_PIPELINE_JOBS_H_
