// The shipped addon. Encrypting makes its own one-time secret: no call passes one in, and none returns one.

#include <napi.h>

#include <cstring>
#include <memory>
#include <stdexcept>
#include <vector>

#include "../core/chunk.h"
#include "../core/dispatch.h"
#include "../core/engine.h"
#include "../core/secure_memory.h"
#include "../core/shamir.h"
#include "arguments.h"
#include "boundary.h"
#include "custody_calls.h"
#include "pipeline_calls.h"
#include "worker.h"

namespace tensorguard {
namespace {

const KernelTable* selected = nullptr;

constexpr uint32_t kMaxThreads = 256;

class EncryptWorker : public Worker {
 public:
  EncryptWorker(Napi::Env env, Napi::ObjectReference&& arguments, const Encryption& encryption,
                const uint8_t prf_key[kPrfKeyBytes], const uint8_t digest[kMessageDigestBytes])
      : Worker(env, std::move(arguments)), encryption_(encryption) {
    std::memcpy(hedge_.data + kHedgeOsBytes, prf_key, kPrfKeyBytes);
    std::memcpy(hedge_.data + kHedgeOsBytes + kPrfKeyBytes, digest, kMessageDigestBytes);
  }

 protected:
  void work() override {
    const RingTables& ring = *ring_tables(encryption_.segments.front().format.parameter_set);
    for (uint32_t i = 0; i < encryption_.custodians; ++i) {
      shares_.push_back(
          std::make_unique<SecretBuffer<uint8_t>>(share_bytes(ring, encryption_.threshold, i + 1)));
      pointers_.push_back(shares_.back()->data());
    }
    encryption_.shares = pointers_.data();
    if (!os_random(hedge_.data, kHedgeOsBytes)) throw std::runtime_error("the system gives no randomness");
    if (!encrypt(*selected, encryption_, hedge_.data).within_bounds)
      throw std::runtime_error("a value lies outside the plan's bound");
  }
  Napi::Value result(Napi::Env env) override {
    Napi::Array shares = Napi::Array::New(env, shares_.size());
    for (uint32_t i = 0; i < shares_.size(); ++i) {
      Napi::Uint8Array share = Napi::Uint8Array::New(env, shares_[i]->size());
      std::memcpy(share.Data(), shares_[i]->data(), shares_[i]->size());
      shares.Set(i, share);
    }
    return shares;
  }

 private:
  Encryption encryption_;
  SecretArray<uint8_t, kHedgeBytes> hedge_;
  std::vector<std::unique_ptr<SecretBuffer<uint8_t>>> shares_;
  std::vector<uint8_t*> pointers_;
};

constexpr uint32_t kMaxSegments = 64;

// The segments of an update, back to back: their values fill `value_count` exactly.
std::vector<Segment> read_segments(Napi::Env env, Arguments& arguments, size_t value_count) {
  std::vector<Segment> segments;
  const Napi::Array list = arguments.array("segments");
  const uint32_t count = arguments.failed() ? 0 : list.Length();
  if (count < 1 || count > kMaxSegments) arguments.fail("segments must be an array of 1 to 64 objects");
  size_t values = 0;
  size_t elements = 0;
  for (uint32_t i = 0; !arguments.failed() && i < count; ++i) {
    const Napi::Value item = list[i];
    Arguments fields(env, item);
    const size_t segment_values = fields.integer("valueCount", 1, uint64_t{1} << 40);
    const Segment segment = {fields.format(segment_values), fields.word("valueBound", 0, UINT32_MAX)};
    if (fields.failed()) arguments.fail(fields.error());
    // Two segments on one ring element would use one mask, and one secret, for two messages.
    if (!arguments.failed() && segment.format.first_element != elements)
      arguments.fail("firstElement of a segment must be the number of ring elements before it");
    if (!arguments.failed() && i > 0 && segment.format.parameter_set != segments[0].format.parameter_set)
      arguments.fail("all segments must have the same parameter set");
    values += segment_values;
    elements += segment.format.ring_elements;
    segments.push_back(segment);
  }
  if (!arguments.failed() && values != value_count)
    arguments.fail("the segments hold " + std::to_string(values) + " values, not " +
                   std::to_string(value_count));
  return segments;
}

Napi::Value encrypt_call(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env(), info[0]);
  size_t value_count = 0;
  Encryption encryption{};
  encryption.values = arguments.int32s("values", SIZE_MAX, &value_count);
  encryption.segments = read_segments(info.Env(), arguments, value_count);
  if (arguments.failed()) return arguments.raise();
  size_t ciphertext_size = 0;
  for (const Segment& segment : encryption.segments) ciphertext_size += ciphertext_bytes(segment.format);
  encryption.ciphertext = arguments.aligned_bytes("ciphertext", ciphertext_size);
  encryption.custodians = arguments.word("custodians", 1, kMaxCustodians);
  encryption.threshold = arguments.word("threshold", 1, encryption.custodians);
  encryption.threads = arguments.word("threads", 1, kMaxThreads);
  const uint8_t* mask_key = arguments.bytes("maskKey", 32);
  const uint8_t* fingerprint = arguments.bytes("planFingerprint", 32);
  const uint8_t* prf_key = arguments.bytes("prfKey", kPrfKeyBytes);
  const uint8_t* digest = arguments.bytes("messageDigest", kMessageDigestBytes);
  if (arguments.failed()) return arguments.raise();
  std::memcpy(encryption.mask_key, mask_key, 32);
  std::memcpy(encryption.plan_fingerprint, fingerprint, 32);
  return Worker::start(new EncryptWorker(info.Env(), arguments.hold(), encryption, prf_key, digest));
}

class OpenWorker : public Worker {
 public:
  OpenWorker(Napi::Env env, Napi::ObjectReference&& arguments, const Opening& opening)
      : Worker(env, std::move(arguments)), opening_(opening) {}

 protected:
  void work() override { statistics_ = open(*selected, opening_); }
  Napi::Value result(Napi::Env env) override {
    Napi::Object object = Napi::Object::New(env);
    object.Set("maxAbsResidual", Napi::Number::New(env, statistics_.max_absolute));
    object.Set("residualSumOfSquares",
               Napi::Number::New(env, static_cast<double>(statistics_.sum_of_squares)));
    return object;
  }

 private:
  Opening opening_;
  ResidualStatistics statistics_ = {0, 0};
};

Napi::Value open_call(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env(), info[0]);
  size_t value_count = 0;
  Opening opening;
  opening.values = arguments.int32s("values", SIZE_MAX, &value_count);
  opening.format = arguments.format(value_count);
  if (arguments.failed()) return arguments.raise();
  const RingTables& ring = *ring_tables(opening.format.parameter_set);
  opening.aggregate = arguments.aligned_bytes("aggregate", ciphertext_bytes(opening.format));
  const int32_t* secret_sum = arguments.int32s("secretSum", ring.n);
  opening.secret_sum = secret_sum;
  opening.threads = arguments.word("threads", 1, kMaxThreads);
  const uint8_t* mask_key = arguments.bytes("maskKey", 32);
  for (uint32_t i = 0; !arguments.failed() && i < ring.n; ++i)
    if (secret_sum[i] <= -static_cast<int32_t>(ring.q) || secret_sum[i] >= static_cast<int32_t>(ring.q))
      arguments.fail("secretSum must lie strictly between -q and q");
  if (arguments.failed()) return arguments.raise();
  std::memcpy(opening.mask_key, mask_key, 32);
  return Worker::start(new OpenWorker(info.Env(), arguments.hold(), opening));
}

class SumWorker : public Worker {
 public:
  SumWorker(Napi::Env env, Napi::ObjectReference&& arguments, const SumJob& job,
            std::vector<const uint8_t*>&& inputs, size_t threads)
      : Worker(env, std::move(arguments)), job_(job), inputs_(std::move(inputs)), threads_(threads) {
    job_.inputs = inputs_.data();
    job_.input_count = inputs_.size();
  }

 protected:
  void work() override { sum(*selected, job_, threads_); }
  Napi::Value result(Napi::Env env) override { return env.Undefined(); }

 private:
  SumJob job_;
  std::vector<const uint8_t*> inputs_;
  size_t threads_;
};

Napi::Value sum_call(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env(), info[0]);
  const RingTables* ring = arguments.ring();
  SumJob job;
  job.wire_bits = arguments.word("wireBits", kMinWireBits, kMaxWireBits);
  job.ring_dimension = ring->n;
  job.ring_elements = arguments.word("ringElements", 1, UINT32_MAX - kChunkLanes);
  const size_t size = job.ring_elements * ring->n / 8 * job.wire_bits;
  job.sum = arguments.aligned_bytes("sum", size);
  const size_t threads = arguments.word("threads", 1, kMaxThreads);
  const Napi::Array inputs = arguments.array("inputs");
  if (!arguments.failed() && inputs.Length() == 0) arguments.fail("inputs must not be empty");
  std::vector<const uint8_t*> pointers;
  for (uint32_t i = 0; !arguments.failed() && i < inputs.Length(); ++i) {
    const Napi::Value input = inputs[i];
    const uint8_t* data = arguments.aligned(arguments.byte_array(input, "each input", size), "each input");
    // The sum is written stripe by stripe while later inputs are still to be read: it may only be the first
    // of them.
    if (!arguments.failed() && i > 0 && data < job.sum + size && job.sum < data + size)
      arguments.fail("only the first input may share memory with the sum");
    if (!arguments.failed() && i == 0 && data != job.sum && data < job.sum + size && job.sum < data + size)
      arguments.fail("the first input must be the sum itself or share no memory with it");
    pointers.push_back(data);
  }
  if (arguments.failed()) return arguments.raise();
  return Worker::start(new SumWorker(info.Env(), arguments.hold(), job, std::move(pointers), threads));
}

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  std::string error;
  selected = select_kernels(error);
  if (selected == nullptr) {
    Napi::Error::New(env, error).ThrowAsJavaScriptException();
    return exports;
  }
  exports.Set("instructionSet", Napi::String::New(env, selected->name));
  Napi::Array supported = Napi::Array::New(env);
  for (const KernelTable* table : supported_kernels()) supported.Set(supported.Length(), table->name);
  exports.Set("supportedInstructionSets", supported);
  export_call<encrypt_call>(exports, "encrypt");
  export_call<open_call>(exports, "open");
  export_call<sum_call>(exports, "sum");
  register_custody_calls(exports);
  register_pipeline_calls(exports, *selected);
  return exports;
}

}  // namespace
}  // namespace tensorguard

static Napi::Object Initialise(Napi::Env env, Napi::Object exports) {
  return tensorguard::initialise(env, exports);
}

NODE_API_MODULE(tensorguard_native, Initialise)
