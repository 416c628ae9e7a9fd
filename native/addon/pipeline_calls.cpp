#include "pipeline_calls.h"

#include <cstring>
#include <stdexcept>
#include <utility>
#include <vector>

#include "../core/pipeline.h"
#include "../core/secure_memory.h"
#include "arguments.h"
#include "boundary.h"
#include "pipeline_arguments.h"
#include "worker.h"

namespace tensorguard {
namespace {

const KernelTable* selected = nullptr;

constexpr uint32_t kMaxThreads = 256;

// Randomness from the operating system, hedged by the client's PRF key and a digest of the input. No call
// brings a seed in.
class HedgedWorker : public Worker {
 public:
  HedgedWorker(Napi::Env env, Napi::ObjectReference&& arguments, const uint8_t prf_key[kPrfKeyBytes],
               const uint8_t digest[kMessageDigestBytes])
      : Worker(env, std::move(arguments)) {
    std::memcpy(hedge_.data + kHedgeOsBytes, prf_key, kPrfKeyBytes);
    std::memcpy(hedge_.data + kHedgeOsBytes + kPrfKeyBytes, digest, kMessageDigestBytes);
  }

 protected:
  void work() override {
    if (!os_random(hedge_.data, kHedgeOsBytes)) throw std::runtime_error("the system gives no randomness");
    work_hedged(hedge_.data);
  }
  virtual void work_hedged(const uint8_t hedge[kHedgeBytes]) = 0;

 private:
  SecretArray<uint8_t, kHedgeBytes> hedge_;
};

class RotateWorker : public Worker {
 public:
  RotateWorker(Napi::Env env, Napi::ObjectReference&& arguments, const RotateJob& job)
      : Worker(env, std::move(arguments)), job_(job) {}

 protected:
  void work() override { sum_of_squares_ = selected->pipeline.rotate(job_); }
  Napi::Value result(Napi::Env env) override {
    Napi::Object object = Napi::Object::New(env);
    object.Set("sumOfSquares", Napi::Number::New(env, sum_of_squares_));
    return object;
  }

 private:
  RotateJob job_;
  double sum_of_squares_ = 0;
};

bool share_memory(const void* a, size_t a_size, const void* b, size_t b_size) {
  const uintptr_t first = reinterpret_cast<uintptr_t>(a);
  const uintptr_t second = reinterpret_cast<uintptr_t>(b);
  return first < second + b_size && second < first + a_size;
}

Napi::Value rotate_call(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env(), info[0]);
  RotateJob job;
  size_t value_count = 0;
  size_t kept_count = 0;
  job.values = float32s(arguments, "values", SIZE_MAX, &value_count);
  job.kept = float32s(arguments, "kept", SIZE_MAX, &kept_count);
  job.plan = rotation_plan(arguments, value_count, kept_count);
  if (!arguments.failed() && !(job.kept == job.values && kept_count == value_count) &&
      share_memory(job.values, value_count * sizeof(float), job.kept, kept_count * sizeof(float)))
    arguments.fail("kept must share no memory with values, or be values itself where all are kept");
  if (arguments.failed()) return arguments.raise();
  return Worker::start(new RotateWorker(info.Env(), arguments.hold(), job));
}

class RotateBackWorker : public Worker {
 public:
  RotateBackWorker(Napi::Env env, Napi::ObjectReference&& arguments, const RotateBackJob& job)
      : Worker(env, std::move(arguments)), job_(job) {}

 protected:
  void work() override { selected->pipeline.rotate_back(job_); }
  Napi::Value result(Napi::Env env) override { return env.Undefined(); }

 private:
  RotateBackJob job_;
};

Napi::Value rotate_back_call(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env(), info[0]);
  RotateBackJob job;
  size_t value_count = 0;
  size_t kept_count = 0;
  job.levels = arguments.int32s("levels", SIZE_MAX, &kept_count);
  job.values = float32s(arguments, "values", SIZE_MAX, &value_count);
  job.plan = rotation_plan(arguments, value_count, kept_count);
  const Napi::Value scale = arguments.get("scale");
  if (!arguments.failed() && !scale.IsNumber()) arguments.fail("scale must be a number");
  if (!arguments.failed() &&
      share_memory(job.values, value_count * sizeof(float), job.levels, kept_count * sizeof(int32_t)))
    arguments.fail("levels and values must share no memory");
  if (arguments.failed()) return arguments.raise();
  job.scale = scale.As<Napi::Number>().FloatValue();
  return Worker::start(new RotateBackWorker(info.Env(), arguments.hold(), job));
}

class QuantizeWorker : public HedgedWorker {
 public:
  QuantizeWorker(Napi::Env env, Napi::ObjectReference&& arguments, const uint8_t* prf_key,
                 const uint8_t* digest, Quantization&& quantization)
      : HedgedWorker(env, std::move(arguments), prf_key, digest), quantization_(std::move(quantization)) {}

 protected:
  void work_hedged(const uint8_t* hedge) override { parts_ = quantize(*selected, quantization_, hedge); }
  Napi::Value result(Napi::Env env) override { return part_statistics(env, parts_); }

 private:
  Quantization quantization_;
  std::vector<PartStatistics> parts_;
};

Napi::Value quantize_call(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env(), info[0]);
  Quantization quantization;
  quantization.parameter_set = arguments.word("parameterSet", 0, 1);
  quantization.values = float32s(arguments, "values", SIZE_MAX, &quantization.value_count);
  if (arguments.failed()) return arguments.raise();
  quantization.levels = arguments.int32s("levels", quantization.value_count);
  quantization.parts = quantize_parts(arguments, quantization.value_count);
  quantization.threads = arguments.word("threads", 1, kMaxThreads);
  const uint8_t* fingerprint = arguments.bytes("planFingerprint", 32);
  const uint8_t* prf_key = arguments.bytes("prfKey", kPrfKeyBytes);
  const uint8_t* digest = arguments.bytes("inputDigest", kMessageDigestBytes);
  if (!arguments.failed() && share_memory(quantization.values, quantization.value_count * sizeof(float),
                                          quantization.levels, quantization.value_count * sizeof(int32_t)))
    arguments.fail("levels and values must share no memory");
  if (arguments.failed()) return arguments.raise();
  std::memcpy(quantization.plan_fingerprint, fingerprint, 32);
  return Worker::start(
      new QuantizeWorker(info.Env(), arguments.hold(), prf_key, digest, std::move(quantization)));
}

class NoiseWorker : public HedgedWorker {
 public:
  NoiseWorker(Napi::Env env, Napi::ObjectReference&& arguments, const uint8_t* prf_key, const uint8_t* digest,
              NoiseAddition&& addition)
      : HedgedWorker(env, std::move(arguments), prf_key, digest), addition_(std::move(addition)) {}

 protected:
  void work_hedged(const uint8_t* hedge) override { add_noise(*selected, addition_, hedge); }
  Napi::Value result(Napi::Env env) override { return env.Undefined(); }

 private:
  NoiseAddition addition_;
};

Napi::Value noise_call(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env(), info[0]);
  NoiseAddition addition;
  addition.parameter_set = arguments.word("parameterSet", 0, 1);
  addition.levels = arguments.int32s("levels", SIZE_MAX, &addition.value_count);
  addition.thresholds = noise_thresholds(arguments);
  addition.draws = arguments.word("draws", 1, kMaxDraws);
  addition.threads = arguments.word("threads", 1, kMaxThreads);
  const uint8_t* fingerprint = arguments.bytes("planFingerprint", 32);
  const uint8_t* prf_key = arguments.bytes("prfKey", kPrfKeyBytes);
  const uint8_t* digest = arguments.bytes("inputDigest", kMessageDigestBytes);
  if (!arguments.failed() && (addition.value_count < 1 || addition.value_count > kMaxValues))
    arguments.fail("levels must have 1 to 2^32 - 1 elements");
  if (!arguments.failed()) {
    const char* error = noise_error(addition);
    if (error != nullptr) arguments.fail(error);
  }
  if (arguments.failed()) return arguments.raise();
  std::memcpy(addition.plan_fingerprint, fingerprint, 32);
  return Worker::start(new NoiseWorker(info.Env(), arguments.hold(), prf_key, digest, std::move(addition)));
}

}  // namespace

void register_pipeline_calls(Napi::Object exports, const KernelTable& kernels) {
  selected = &kernels;
  export_call<rotate_call>(exports, "rotateAndSample");
  export_call<rotate_back_call>(exports, "placeAndRotateBack");
  export_call<quantize_call>(exports, "quantize");
  export_call<noise_call>(exports, "addNoise");
}

}  // namespace tensorguard
