#include "pipeline_testing.h"

#include <cstring>
#include <stdexcept>

#include "../addon/boundary.h"
#include "../addon/pipeline_arguments.h"
#include "../core/dispatch.h"
#include "../core/pipeline.h"

namespace tensorguard {
namespace {

const KernelTable& kernels(const Napi::CallbackInfo& info) {
  const KernelTable* table = kernels_by_name(info[0].As<Napi::String>().Utf8Value());
  if (table == nullptr) throw std::runtime_error("instruction set not supported here");
  return *table;
}

Napi::Value rotate_testing(const Napi::CallbackInfo& info) {
  const KernelTable& table = kernels(info);
  Arguments arguments(info.Env(), info[1]);
  RotateJob job;
  size_t value_count = 0;
  size_t kept_count = 0;
  job.values = float32s(arguments, "values", SIZE_MAX, &value_count);
  job.kept = float32s(arguments, "kept", SIZE_MAX, &kept_count);
  job.plan = rotation_plan(arguments, value_count, kept_count);
  if (arguments.failed()) return arguments.raise();
  return Napi::Number::New(info.Env(), table.pipeline.rotate(job));
}

Napi::Value rotate_back_testing(const Napi::CallbackInfo& info) {
  const KernelTable& table = kernels(info);
  Arguments arguments(info.Env(), info[1]);
  RotateBackJob job;
  size_t value_count = 0;
  size_t kept_count = 0;
  job.levels = arguments.int32s("levels", SIZE_MAX, &kept_count);
  job.values = float32s(arguments, "values", SIZE_MAX, &value_count);
  job.plan = rotation_plan(arguments, value_count, kept_count);
  const Napi::Value scale = arguments.get("scale");
  if (arguments.failed()) return arguments.raise();
  job.scale = scale.As<Napi::Number>().FloatValue();
  table.pipeline.rotate_back(job);
  return info.Env().Undefined();
}

Napi::Value quantize_testing(const Napi::CallbackInfo& info) {
  const KernelTable& table = kernels(info);
  Arguments arguments(info.Env(), info[1]);
  Quantization quantization;
  quantization.parameter_set = arguments.word("parameterSet", 0, 1);
  quantization.values = float32s(arguments, "values", SIZE_MAX, &quantization.value_count);
  quantization.levels = arguments.int32s("levels", quantization.value_count);
  quantization.parts = quantize_parts(arguments, quantization.value_count);
  quantization.threads = arguments.word("threads", 1, 16);
  const uint8_t* fingerprint = arguments.bytes("planFingerprint", 32);
  const uint8_t* hedge = arguments.bytes("hedge", kHedgeBytes);
  if (arguments.failed()) return arguments.raise();
  std::memcpy(quantization.plan_fingerprint, fingerprint, 32);
  return part_statistics(info.Env(), quantize(table, quantization, hedge));
}

Napi::Value noise_testing(const Napi::CallbackInfo& info) {
  const KernelTable& table = kernels(info);
  Arguments arguments(info.Env(), info[1]);
  NoiseAddition addition;
  addition.parameter_set = arguments.word("parameterSet", 0, 1);
  addition.levels = arguments.int32s("levels", SIZE_MAX, &addition.value_count);
  addition.thresholds = noise_thresholds(arguments);
  addition.draws = arguments.word("draws", 1, kMaxDraws);
  addition.threads = arguments.word("threads", 1, 16);
  const uint8_t* fingerprint = arguments.bytes("planFingerprint", 32);
  const uint8_t* hedge = arguments.bytes("hedge", kHedgeBytes);
  if (arguments.failed()) return arguments.raise();
  std::memcpy(addition.plan_fingerprint, fingerprint, 32);
  add_noise(table, addition, hedge);
  return info.Env().Undefined();
}

}  // namespace

void register_pipeline_testing(Napi::Object exports) {
  export_call<rotate_testing>(exports, "rotateAndSample");
  export_call<rotate_back_testing>(exports, "placeAndRotateBack");
  export_call<quantize_testing>(exports, "quantize");
  export_call<noise_testing>(exports, "addNoise");
}

}  // namespace tensorguard
