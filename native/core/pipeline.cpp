#include "pipeline.h"

#include "chacha20.h"
#include "hkdf.h"
#include "parallel.h"
#include "secure_memory.h"

namespace tensorguard {
namespace {

// What the ranges of for_each_range are counted in: large enough that a thread's sixteen of them (32768
// values) take longer than starting it.
constexpr size_t kQuantizeRange = 4 * kQuantizeUnit;

// The key of a stream, for as long as a job runs.
class StreamKey {
 public:
  StreamKey(const uint8_t hedge[kHedgeBytes], const char* purpose, uint32_t parameter_set,
            const uint8_t plan_fingerprint[32], uint32_t words[8])
      : words_(words) {
    SecretArray<uint8_t, kKeyBytes> key;
    stream_key(hedge, kHedgeBytes, purpose, parameter_set, plan_fingerprint, key.data);
    load_key(key.data, words_);
  }
  ~StreamKey() { wipe(words_, kKeyBytes); }
  StreamKey(const StreamKey&) = delete;
  StreamKey& operator=(const StreamKey&) = delete;

 private:
  uint32_t* words_;
};

// run(thread, begin, end) over values, with begins that are multiples of `unit`.
template <class Run>
void for_each_value_range(size_t value_count, size_t unit, size_t threads, const Run& run) {
  for_each_range((value_count + unit - 1) / unit, threads, [&](size_t thread, size_t begin, size_t end) {
    run(thread, begin * unit, end * unit < value_count ? end * unit : value_count);
  });
}

}  // namespace

std::vector<PartStatistics> quantize(const KernelTable& kernels, const Quantization& quantization,
                                     const uint8_t hedge[kHedgeBytes]) {
  QuantizeJob job;
  const StreamKey key(hedge, "quantization", quantization.parameter_set, quantization.plan_fingerprint,
                      job.key);
  job.values = quantization.values;
  job.value_count = quantization.value_count;
  job.parts = quantization.parts.data();
  job.part_count = quantization.parts.size();
  job.levels = quantization.levels;
  const size_t units = (job.value_count + kQuantizeRange - 1) / kQuantizeRange;
  const size_t threads = thread_count(units, quantization.threads);
  std::vector<PartStatistics> parts(threads * job.part_count, PartStatistics{0, 0});
  for_each_value_range(job.value_count, kQuantizeRange, quantization.threads,
                       [&](size_t thread, size_t begin, size_t end) {
                         kernels.pipeline.quantize(job, begin, end, parts.data() + thread * job.part_count);
                       });
  for (size_t thread = 1; thread < threads; ++thread)
    for (size_t i = 0; i < job.part_count; ++i) {
      parts[i].saturated += parts[thread * job.part_count + i].saturated;
      parts[i].sum_of_squares += parts[thread * job.part_count + i].sum_of_squares;
    }
  parts.resize(job.part_count);
  return parts;
}

void add_noise(const KernelTable& kernels, const NoiseAddition& addition, const uint8_t hedge[kHedgeBytes]) {
  NoiseJob job;
  const StreamKey key(hedge, "noise", addition.parameter_set, addition.plan_fingerprint, job.key);
  job.levels = addition.levels;
  job.value_count = addition.value_count;
  job.thresholds = addition.thresholds.data();
  job.threshold_count = addition.thresholds.size();
  job.draws = addition.draws;
  for_each_value_range(job.value_count, kNoiseUnit, addition.threads, [&](size_t, size_t begin, size_t end) {
    kernels.pipeline.add_noise(job, begin, end);
  });
}

const char* noise_error(const NoiseAddition& addition) {
  const std::vector<uint64_t>& thresholds = addition.thresholds;
  if (thresholds.empty() || thresholds.size() > kMaxThresholds) return "thresholds must be 1 to 65536";
  if (thresholds.back() >> 63 != 0) return "thresholds must be below 2^63";
  for (size_t i = 1; i < thresholds.size(); ++i)
    if (thresholds[i] < thresholds[i - 1]) return "thresholds must be ascending";
  if (addition.draws < 1 || addition.draws > kMaxDraws) return "draws must be 1 to 65535";
  if (uint64_t{addition.draws} * thresholds.size() >= uint64_t{1} << 30)
    return "draws times thresholds must be below 2^30, the most that is ever added to a value";
  // Eight draws of sixteen values are a block, and block counters have 32 bits.
  if (uint64_t{addition.value_count / kStreams + 1} * addition.draws / 8 >= UINT32_MAX)
    return "values times draws must be below 2^39";
  return nullptr;
}

}  // namespace tensorguard
