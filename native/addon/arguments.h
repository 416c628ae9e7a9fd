// Reading arguments from JavaScript: every shape and size is checked here, before a kernel sees a pointer.
#ifndef TENSORGUARD_ADDON_ARGUMENTS_H_
#define TENSORGUARD_ADDON_ARGUMENTS_H_

#include <napi.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "../core/engine.h"

namespace tensorguard {

// Collects the first thing that is wrong; the caller throws it as a JavaScript error. Nothing here throws in
// C++.
class Arguments {
 public:
  Arguments(Napi::Env env, const Napi::Value& value) : env_(env) {
    if (value.IsObject()) {
      object_ = value.As<Napi::Object>();
    } else {
      fail("expected an object of arguments");
    }
  }

  bool failed() const { return !error_.empty(); }
  const std::string& error() const { return error_; }
  // A value for JavaScript to receive; the exception is pending.
  Napi::Value raise() const {
    Napi::TypeError::New(env_, error_).ThrowAsJavaScriptException();
    return env_.Undefined();
  }
  void fail(const std::string& reason) {
    if (error_.empty()) error_ = reason;
  }

  uint64_t integer(const char* name, uint64_t smallest, uint64_t largest) {
    const Napi::Value value = get(name);
    if (failed()) return smallest;
    const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : std::nan("");
    if (!(number >= static_cast<double>(smallest) && number <= static_cast<double>(largest)) ||
        number != std::floor(number)) {
      fail(std::string(name) + " must be an integer from " + std::to_string(smallest) + " to " +
           std::to_string(largest));
      return smallest;
    }
    return static_cast<uint64_t>(number);
  }
  uint32_t word(const char* name, uint32_t smallest, uint32_t largest) {
    return static_cast<uint32_t>(integer(name, smallest, largest));
  }

  // A Uint8Array; `size` SIZE_MAX for any. Aligned to words, since kernels read words.
  uint8_t* bytes(const char* name, size_t size, size_t* actual = nullptr) {
    return byte_array(get(name), name, size, actual);
  }
  uint8_t* byte_array(const Napi::Value& value, const std::string& name, size_t size,
                      size_t* actual = nullptr) {
    if (failed()) return nullptr;
    if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
      fail(name + " must be a Uint8Array");
      return nullptr;
    }
    Napi::Uint8Array array = value.As<Napi::Uint8Array>();
    if (size != SIZE_MAX && array.ByteLength() != size) {
      fail(name + " must have " + std::to_string(size) + " bytes, not " + std::to_string(array.ByteLength()));
      return nullptr;
    }
    if (actual != nullptr) *actual = array.ByteLength();
    return array.Data();
  }
  // A Uint8Array whose memory begins on a 4-byte boundary.
  uint8_t* aligned_bytes(const char* name, size_t size, size_t* actual = nullptr) {
    return aligned(bytes(name, size, actual), name);
  }
  uint8_t* aligned(uint8_t* data, const std::string& name) {
    if (!failed() && reinterpret_cast<uintptr_t>(data) % sizeof(uint32_t) != 0)
      fail(name + " must begin on a 4-byte boundary (a byteOffset that is a multiple of 4)");
    return data;
  }
  int32_t* int32s(const char* name, size_t count, size_t* actual = nullptr) {
    const Napi::Value value = get(name);
    if (failed()) return nullptr;
    if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_int32_array) {
      fail(std::string(name) + " must be an Int32Array");
      return nullptr;
    }
    Napi::Int32Array array = value.As<Napi::Int32Array>();
    if (count != SIZE_MAX && array.ElementLength() != count) {
      fail(std::string(name) + " must have " + std::to_string(count) + " elements, not " +
           std::to_string(array.ElementLength()));
      return nullptr;
    }
    if (actual != nullptr) *actual = array.ElementLength();
    return array.Data();
  }
  uint32_t* uint32s(const char* name, size_t count) { return uint32_array(get(name), name, count); }
  uint32_t* uint32_array(const Napi::Value& value, const std::string& name, size_t count) {
    if (failed()) return nullptr;
    if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint32_array ||
        value.As<Napi::Uint32Array>().ElementLength() != count) {
      fail(name + " must be a Uint32Array of " + std::to_string(count) + " elements");
      return nullptr;
    }
    return value.As<Napi::Uint32Array>().Data();
  }
  Napi::Array array(const char* name) {
    const Napi::Value value = get(name);
    if (!failed() && !value.IsArray()) fail(std::string(name) + " must be an array");
    return failed() ? Napi::Array::New(env_) : value.As<Napi::Array>();
  }

  const RingTables* ring() {
    parameter_set_ = word("parameterSet", 0, 1);
    return ring_tables(parameter_set_);
  }
  uint32_t parameter_set() const { return parameter_set_; }

  WireFormat format(size_t value_count) {
    WireFormat format;
    format.parameter_set = word("parameterSet", 0, 1);
    format.wire_bits = word("wireBits", 1, 32);
    format.plaintext_bits = word("plaintextBits", 1, 32);
    format.field_bits = word("fieldBits", 1, 32);
    format.fold = word("fold", 1, 32);
    format.value_count = value_count;
    const size_t n = ring_tables(format.parameter_set)->n;
    format.ring_elements = ((value_count + format.fold - 1) / format.fold + n - 1) / n;
    format.first_element = word("firstElement", 0, UINT32_MAX);
    if (failed()) return format;
    const char* error = format_error(format);
    if (error != nullptr) fail(error);
    return format;
  }

  Napi::Value get(const char* name) {
    if (failed()) return env_.Undefined();
    const Napi::Value value = object_.Get(name);
    if (env_.IsExceptionPending()) {
      fail(std::string("reading ") + name + " failed");
      return env_.Undefined();
    }
    return value;
  }
  // Keeps the arguments, and so the memory behind them, alive while a job runs off the main thread.
  Napi::ObjectReference hold() const { return Napi::Persistent(object_); }

 private:
  Napi::Env env_;
  Napi::Object object_;
  std::string error_;
  uint32_t parameter_set_ = 0;
};

}  // namespace tensorguard

#endif  // TENSORGUARD_ADDON_ARGUMENTS_H_
