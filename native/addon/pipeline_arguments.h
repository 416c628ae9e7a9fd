// Arguments of the pipeline's calls: arrays of other kinds, and what several calls share.
#ifndef TENSORGUARD_ADDON_PIPELINE_ARGUMENTS_H_
#define TENSORGUARD_ADDON_PIPELINE_ARGUMENTS_H_

#include <napi.h>

#include <cmath>
#include <string>
#include <vector>

#include "../core/chacha20.h"
#include "../core/pipeline.h"
#include "arguments.h"

namespace tensorguard {

// A Float32Array of `count` elements, SIZE_MAX for any.
inline float* float32s(Arguments& arguments, const char* name, size_t count, size_t* actual = nullptr) {
  const Napi::Value value = arguments.get(name);
  if (arguments.failed()) return nullptr;
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_float32_array) {
    arguments.fail(std::string(name) + " must be a Float32Array");
    return nullptr;
  }
  Napi::Float32Array array = value.As<Napi::Float32Array>();
  if (count != SIZE_MAX && array.ElementLength() != count) {
    arguments.fail(std::string(name) + " must have " + std::to_string(count) + " elements, not " +
                   std::to_string(array.ElementLength()));
    return nullptr;
  }
  if (actual != nullptr) *actual = array.ElementLength();
  return array.Data();
}

inline RotationPlan rotation_plan(Arguments& arguments, size_t value_count, size_t kept_count) {
  RotationPlan plan = {};
  plan.tensor_index = arguments.word("tensorIndex", 0, kMaxTensorIndex);
  plan.block_log2 = arguments.word("blockLog2", 0, kMaxBlockLog2);
  plan.value_count = value_count;
  plan.kept_count = kept_count;
  const uint8_t* sign_key = arguments.bytes("signKey", 32);
  const uint8_t* sample_key = arguments.bytes("sampleKey", 32);
  if (value_count < 1 || value_count > kMaxValues) arguments.fail("values must have 1 to 2^32 - 1 elements");
  if (kept_count < 1 || kept_count > value_count)
    arguments.fail("at least one value must be kept, and no more than there are");
  if (arguments.failed()) return plan;
  load_key(sign_key, plan.sign_key);
  load_key(sample_key, plan.sample_key);
  return plan;
}

// Parts from counts, factors and limits of the same length; copies, which nobody changes while a job runs.
inline std::vector<QuantizePart> quantize_parts(Arguments& arguments, size_t value_count) {
  std::vector<QuantizePart> parts;
  size_t count = 0;
  const float* factors = float32s(arguments, "factors", SIZE_MAX, &count);
  const uint32_t* counts = arguments.uint32s("counts", count);
  const uint32_t* limits = arguments.uint32s("limits", count);
  if (arguments.failed()) return parts;
  size_t end = 0;
  for (size_t i = 0; i < count; ++i) {
    const uint32_t limit = limits[i];
    if (limit < 1 || limit > kMaxLevelLimit) {
      arguments.fail("limits must be 1 to 2^20");
      return parts;
    }
    if (!std::isfinite(factors[i])) {
      arguments.fail("factors must be finite");
      return parts;
    }
    // What is summed up is at most this.
    if (counts[i] >> 23 != 0 && uint64_t{limit} * limit > (uint64_t{1} << 63) / counts[i]) {
      arguments.fail("the squares of a part's levels do not fit 63 bits");
      return parts;
    }
    end += counts[i];
    parts.push_back({end, factors[i], limit});
  }
  if (end != value_count || value_count < 1 || value_count > kMaxValues)
    arguments.fail("counts must add up to the number of values, 1 to 2^32 - 1");
  return parts;
}

inline std::vector<uint64_t> noise_thresholds(Arguments& arguments) {
  const Napi::Value value = arguments.get("thresholds");
  if (arguments.failed()) return {};
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_biguint64_array) {
    arguments.fail("thresholds must be a BigUint64Array");
    return {};
  }
  Napi::BigUint64Array array = value.As<Napi::BigUint64Array>();
  return std::vector<uint64_t>(array.Data(), array.Data() + array.ElementLength());
}

inline Napi::Value part_statistics(Napi::Env env, const std::vector<PartStatistics>& parts) {
  Napi::Array saturated = Napi::Array::New(env, parts.size());
  Napi::Array squares = Napi::Array::New(env, parts.size());
  for (uint32_t i = 0; i < parts.size(); ++i) {
    saturated.Set(i, Napi::Number::New(env, static_cast<double>(parts[i].saturated)));
    squares.Set(i, Napi::Number::New(env, static_cast<double>(parts[i].sum_of_squares)));
  }
  Napi::Object object = Napi::Object::New(env);
  object.Set("saturated", saturated);
  object.Set("sumsOfSquares", squares);
  return object;
}

}  // namespace tensorguard

#endif  // TENSORGUARD_ADDON_PIPELINE_ARGUMENTS_H_
