// The testing addon: every kernel on its own, on each instruction set, with fixed seeds. Never shipped.

#include <napi.h>

#include <cstring>
#include <string>
#include <vector>

#include "../addon/boundary.h"
#include "../core/chacha20.h"
#include "../core/chunk.h"
#include "../core/dispatch.h"
#include "../core/engine.h"
#include "../core/hkdf.h"
#include "../core/secret.h"
#include "../core/secure_memory.h"
#include "../core/shamir.h"
#include "pipeline_testing.h"

namespace tensorguard {
namespace {

// Tests pass what they mean to: this addon trusts its caller.
const KernelTable& kernels(const Napi::CallbackInfo& info) {
  const KernelTable* table = kernels_by_name(info[0].As<Napi::String>().Utf8Value());
  if (table == nullptr) throw std::runtime_error("instruction set not supported here");
  return *table;
}
uint32_t word(const Napi::Value& value) { return value.As<Napi::Number>().Uint32Value(); }
uint8_t* bytes(const Napi::Value& value) { return value.As<Napi::Uint8Array>().Data(); }
uint32_t* words(const Napi::Value& value) { return value.As<Napi::Uint32Array>().Data(); }
void load_key_argument(const Napi::Value& value, uint32_t key[8]) { load_key(bytes(value), key); }

Napi::Value isas(const Napi::CallbackInfo& info) {
  Napi::Array names = Napi::Array::New(info.Env());
  for (const KernelTable* table : supported_kernels()) names.Set(names.Length(), table->name);
  return names;
}

Napi::Value keystream(const Napi::CallbackInfo& info) {
  const KernelTable& table = kernels(info);
  uint32_t key[8];
  load_key_argument(info[1], key);
  const uint32_t element = word(info[2]);
  const uint32_t count = word(info[3]);
  // The element asked for sits in the last lane, so that the nonce of another lane cannot stand in for it.
  const size_t lane = element >= table.lanes - 1 ? table.lanes - 1 : 0;
  Napi::Uint32Array out = Napi::Uint32Array::New(info.Env(), count);
  std::vector<uint32_t> rows(kBlockWords * table.lanes);
  for (uint32_t i = 0; i < count; ++i) {
    if (i % kBlockWords == 0)
      table.keystream(key, static_cast<uint32_t>(i / kBlockWords), static_cast<uint32_t>(element - lane),
                      rows.data());
    out.Data()[i] = rows[i % kBlockWords * table.lanes + lane];
  }
  return out;
}

// Runs `sample` over blocks of lanes, element-major out.
template <class Sample>
std::vector<uint32_t> sampled(const KernelTable& table, uint32_t n, uint32_t first, uint32_t elements,
                              const Sample& sample) {
  std::vector<uint32_t> out(static_cast<size_t>(elements) * n);
  std::vector<uint32_t> rows(n * table.lanes);
  for (uint32_t begin = 0; begin < elements; begin += static_cast<uint32_t>(table.lanes)) {
    sample(first + begin, rows.data());
    for (size_t lane = 0; lane < table.lanes && begin + lane < elements; ++lane)
      for (uint32_t i = 0; i < n; ++i) out[(begin + lane) * n + i] = rows[i * table.lanes + lane];
  }
  return out;
}

Napi::Value uint32_array(Napi::Env env, const std::vector<uint32_t>& values) {
  Napi::Uint32Array out = Napi::Uint32Array::New(env, values.size());
  std::memcpy(out.Data(), values.data(), values.size() * sizeof(uint32_t));
  return out;
}

Napi::Value sample_uniform(const Napi::CallbackInfo& info) {
  const KernelTable& table = kernels(info);
  const uint32_t set = word(info[1]);
  uint32_t key[8];
  load_key_argument(info[2], key);
  return uint32_array(info.Env(), sampled(table, ring_tables(set)->n, word(info[3]), word(info[4]),
                                          [&](uint32_t first, uint32_t* rows) {
                                            table.sample_uniform(set, key, first, rows);
                                          }));
}

Napi::Value sample_small(const Napi::CallbackInfo& info) {
  const KernelTable& table = kernels(info);
  const uint32_t set = word(info[1]);
  uint32_t key[8];
  load_key_argument(info[2], key);
  const std::vector<uint32_t> values =
      sampled(table, ring_tables(set)->n, word(info[3]), word(info[4]),
              [&](uint32_t first, uint32_t* rows) { table.sample_small(set, key, first, rows); });
  Napi::Int32Array out = Napi::Int32Array::New(info.Env(), values.size());
  for (size_t i = 0; i < values.size(); ++i) out.Data()[i] = static_cast<int32_t>(values[i]) - 16;
  return out;
}

// One polynomial in every lane; the lanes must agree afterwards.
template <class Transform>
Napi::Value transformed(const Napi::CallbackInfo& info, const uint32_t* polynomial,
                        const Transform& transform) {
  const KernelTable& table = kernels(info);
  const uint32_t n = ring_tables(word(info[1]))->n;
  std::vector<uint32_t> rows(n * table.lanes);
  for (uint32_t i = 0; i < n; ++i)
    for (size_t lane = 0; lane < table.lanes; ++lane) rows[i * table.lanes + lane] = polynomial[i];
  transform(table, rows.data());
  std::vector<uint32_t> out(n);
  for (uint32_t i = 0; i < n; ++i) {
    out[i] = rows[i * table.lanes];
    for (size_t lane = 0; lane < table.lanes; ++lane)
      if (rows[i * table.lanes + lane] != out[i]) throw std::runtime_error("the lanes differ");
  }
  return uint32_array(info.Env(), out);
}

std::vector<Twiddle> factor_of(const RingTables& ring, const uint32_t* values, uint32_t scale) {
  std::vector<Twiddle> factor(ring.n);
  for (uint32_t i = 0; i < ring.n; ++i) {
    const uint32_t value = multiply_mod(values == nullptr ? 1 : values[i], scale, ring);
    factor[i] = Twiddle{value, shoup_companion(value, ring)};
  }
  return factor;
}

Napi::Value ntt_forward(const Napi::CallbackInfo& info) {
  const uint32_t set = word(info[1]);
  return transformed(info, words(info[2]),
                     [&](const KernelTable& table, uint32_t* rows) { table.forward_rows(set, rows); });
}

Napi::Value ntt_inverse(const Napi::CallbackInfo& info) {
  const uint32_t set = word(info[1]);
  const RingTables& ring = *ring_tables(set);
  const std::vector<Twiddle> factor = factor_of(ring, nullptr, ring.n_inverse);
  return transformed(info, words(info[2]), [&](const KernelTable& table, uint32_t* rows) {
    table.multiply_inverse_rows(set, factor.data(), rows);
  });
}

Napi::Value multiply(const Napi::CallbackInfo& info) {
  const uint32_t set = word(info[1]);
  const std::vector<Twiddle> factor = factor_of(*ring_tables(set), words(info[3]), 1);
  return transformed(info, words(info[2]), [&](const KernelTable& table, uint32_t* rows) {
    table.multiply_rows(set, factor.data(), rows);
  });
}

template <void (*KernelTable::*kOperation)(uint32_t, uint32_t, uint32_t*, size_t)>
Napi::Value map_words(const Napi::CallbackInfo& info) {
  const KernelTable& table = kernels(info);
  Napi::Uint32Array in = info[3].As<Napi::Uint32Array>();
  std::vector<uint32_t> values(in.Data(), in.Data() + in.ElementLength());
  (table.*kOperation)(word(info[1]), word(info[2]), values.data(), values.size());
  return uint32_array(info.Env(), values);
}

Napi::Value pack(const Napi::CallbackInfo& info) {
  const KernelTable& table = kernels(info);
  const uint32_t n = ring_tables(word(info[1]))->n;
  const uint32_t wire_bits = word(info[2]);
  const size_t lanes = word(info[3]);
  std::vector<uint32_t> packed(n / 32 * wire_bits * lanes);
  table.pack(wire_bits, n, lanes, words(info[4]), packed.data());
  Napi::Uint8Array out = Napi::Uint8Array::New(info.Env(), packed.size() * sizeof(uint32_t));
  std::memcpy(out.Data(), packed.data(), out.ByteLength());
  return out;
}

Napi::Value unpack(const Napi::CallbackInfo& info) {
  const KernelTable& table = kernels(info);
  const uint32_t n = ring_tables(word(info[1]))->n;
  const size_t lanes = word(info[3]);
  std::vector<uint32_t> packed(info[4].As<Napi::Uint8Array>().ByteLength() / sizeof(uint32_t));
  std::memcpy(packed.data(), bytes(info[4]), packed.size() * sizeof(uint32_t));
  std::vector<uint32_t> out(n * lanes);
  table.unpack(word(info[2]), n, lanes, packed.data(), out.data());
  return uint32_array(info.Env(), out);
}

Napi::Value sum_inputs(const Napi::CallbackInfo& info) {
  const KernelTable& table = kernels(info);
  SumJob job;
  job.ring_dimension = ring_tables(word(info[1]))->n;
  job.wire_bits = word(info[2]);
  job.ring_elements = word(info[3]);
  const Napi::Array inputs = info[4].As<Napi::Array>();
  std::vector<const uint8_t*> pointers;
  for (uint32_t i = 0; i < inputs.Length(); ++i) {
    const Napi::Value input = inputs[i];
    pointers.push_back(bytes(input));
  }
  Napi::Uint8Array out =
      Napi::Uint8Array::New(info.Env(), job.ring_elements * job.ring_dimension / 8 * job.wire_bits);
  job.inputs = pointers.data();
  job.input_count = pointers.size();
  job.sum = out.Data();
  sum(table, job, 1);
  return out;
}

WireFormat format_of(const Napi::Object& object, size_t value_count) {
  WireFormat format;
  format.parameter_set = word(object.Get("set"));
  format.wire_bits = word(object.Get("wireBits"));
  format.plaintext_bits = word(object.Get("plaintextBits"));
  format.field_bits = word(object.Get("fieldBits"));
  format.fold = word(object.Get("fold"));
  format.value_count = value_count;
  const size_t n = ring_tables(format.parameter_set)->n;
  format.ring_elements = ((value_count + format.fold - 1) / format.fold + n - 1) / n;
  format.first_element = word(object.Get("firstElement"));
  const char* error = format_error(format);
  if (error != nullptr) throw std::runtime_error(error);
  return format;
}

Napi::Value encrypt_fixed(const Napi::CallbackInfo& info) {
  const KernelTable& table = kernels(info);
  const Napi::Object object = info[1].As<Napi::Object>();
  Napi::Int32Array values = object.Get("values").As<Napi::Int32Array>();
  Encryption encryption;
  const Napi::Array segments = object.Get("segments").As<Napi::Array>();
  size_t ciphertext_size = 0;
  for (uint32_t i = 0; i < segments.Length(); ++i) {
    const Napi::Object segment = segments.Get(i).As<Napi::Object>();
    encryption.segments.push_back(
        {format_of(segment, word(segment.Get("valueCount"))), word(segment.Get("valueBound"))});
    ciphertext_size += ciphertext_bytes(encryption.segments.back().format);
  }
  std::memcpy(encryption.mask_key, bytes(object.Get("maskKey")), 32);
  std::memcpy(encryption.plan_fingerprint, bytes(object.Get("planFingerprint")), 32);
  encryption.threshold = word(object.Get("threshold"));
  encryption.custodians = word(object.Get("custodians"));
  encryption.threads = word(object.Get("threads"));
  encryption.values = values.Data();
  Napi::Uint8Array ciphertext = Napi::Uint8Array::New(info.Env(), ciphertext_size);
  encryption.ciphertext = ciphertext.Data();
  Napi::Array shares = Napi::Array::New(info.Env());
  std::vector<uint8_t*> pointers;
  for (uint32_t i = 0; i < encryption.custodians; ++i) {
    Napi::Uint8Array share = Napi::Uint8Array::New(
        info.Env(), share_bytes(*ring_tables(encryption.segments.front().format.parameter_set),
                                encryption.threshold, i + 1));
    pointers.push_back(share.Data());
    shares.Set(i, share);
  }
  encryption.shares = pointers.data();
  if (!encrypt(table, encryption, bytes(object.Get("hedge"))).within_bounds)
    throw std::runtime_error("a value lies outside the bound");
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("ciphertext", ciphertext);
  result.Set("shares", shares);
  return result;
}

Napi::Value open_fixed(const Napi::CallbackInfo& info) {
  const KernelTable& table = kernels(info);
  const Napi::Object object = info[1].As<Napi::Object>();
  const uint32_t value_count = word(object.Get("valueCount"));
  Napi::Int32Array values = Napi::Int32Array::New(info.Env(), value_count);
  Opening opening;
  opening.format = format_of(object, value_count);
  std::memcpy(opening.mask_key, bytes(object.Get("maskKey")), 32);
  opening.secret_sum = object.Get("secretSum").As<Napi::Int32Array>().Data();
  opening.aggregate = bytes(object.Get("aggregate"));
  opening.values = values.Data();
  opening.threads = word(object.Get("threads"));
  const ResidualStatistics statistics = open(table, opening);
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("values", values);
  result.Set("maxAbsResidual", statistics.max_absolute);
  result.Set("residualSumOfSquares", static_cast<double>(statistics.sum_of_squares));
  return result;
}

Napi::Value sha256_call(const Napi::CallbackInfo& info) {
  Napi::Uint8Array data = info[0].As<Napi::Uint8Array>();
  Napi::Uint8Array digest = Napi::Uint8Array::New(info.Env(), kHashBytes);
  sha256(data.Data(), data.ByteLength(), digest.Data());
  return digest;
}

Napi::Value hkdf_call(const Napi::CallbackInfo& info) {
  Napi::Uint8Array material = info[0].As<Napi::Uint8Array>();
  Napi::Uint8Array label = info[1].As<Napi::Uint8Array>();
  Napi::Uint8Array key = Napi::Uint8Array::New(info.Env(), word(info[2]));
  hkdf(material.Data(), material.ByteLength(), label.Data(), label.ByteLength(), key.Data(),
       key.ByteLength());
  return key;
}

Napi::Value add_share_call(const Napi::CallbackInfo& info) {
  const uint32_t set = word(info[0]);
  Napi::Uint8Array share = info[4].As<Napi::Uint8Array>();
  return Napi::Boolean::New(info.Env(),
                            add_share(*ring_tables(set), set, bytes(info[1]), word(info[2]), word(info[3]),
                                      share.Data(), share.ByteLength(), words(info[5])));
}

Napi::Value interpolate_call(const Napi::CallbackInfo& info) {
  const RingTables& ring = *ring_tables(word(info[0]));
  const Napi::Array points_in = info[1].As<Napi::Array>();
  const Napi::Array rows_in = info[2].As<Napi::Array>();
  std::vector<uint32_t> points;
  std::vector<const uint32_t*> rows;
  for (uint32_t i = 0; i < points_in.Length(); ++i) {
    const Napi::Value point = points_in[i];
    const Napi::Value row = rows_in[i];
    points.push_back(word(point));
    rows.push_back(words(row));
  }
  std::vector<uint32_t> out(ring.n);
  interpolate(ring, points, rows, word(info[3]), out.data());
  return uint32_array(info.Env(), out);
}

Napi::Object initialise(Napi::Env, Napi::Object exports) {
  export_call<isas>(exports, "isas");
  export_call<keystream>(exports, "keystream");
  export_call<sample_uniform>(exports, "sampleUniform");
  export_call<sample_small>(exports, "sampleSmall");
  export_call<ntt_forward>(exports, "nttForward");
  export_call<ntt_inverse>(exports, "nttInverse");
  export_call<multiply>(exports, "multiply");
  export_call<map_words<&KernelTable::encode>>(exports, "encode");
  export_call<map_words<&KernelTable::switch_modulus>>(exports, "switchModulus");
  export_call<pack>(exports, "pack");
  export_call<unpack>(exports, "unpack");
  export_call<sum_inputs>(exports, "sum");
  export_call<encrypt_fixed>(exports, "encrypt");
  export_call<open_fixed>(exports, "open");
  export_call<sha256_call>(exports, "sha256");
  export_call<hkdf_call>(exports, "hkdf");
  export_call<add_share_call>(exports, "addShare");
  export_call<interpolate_call>(exports, "interpolate");
  register_pipeline_testing(exports);
  return exports;
}

}  // namespace
}  // namespace tensorguard

static Napi::Object Initialise(Napi::Env env, Napi::Object exports) {
  return tensorguard::initialise(env, exports);
}

NODE_API_MODULE(tensorguard_testing, Initialise)
