// The Node-API boundary: no C++ exception crosses it.
#ifndef TENSORGUARD_ADDON_BOUNDARY_H_
#define TENSORGUARD_ADDON_BOUNDARY_H_

#include <napi.h>

#include <exception>

namespace tensorguard {

template <Napi::Value (*kCall)(const Napi::CallbackInfo&)>
Napi::Value guarded(const Napi::CallbackInfo& info) {
  try {
    return kCall(info);
  } catch (const std::exception& error) {
    Napi::Error::New(info.Env(), error.what()).ThrowAsJavaScriptException();
  } catch (...) {
    Napi::Error::New(info.Env(), "unknown native failure").ThrowAsJavaScriptException();
  }
  return info.Env().Undefined();
}

template <Napi::Value (*kCall)(const Napi::CallbackInfo&)>
void export_call(Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New(exports.Env(), guarded<kCall>, name));
}

}  // namespace tensorguard

#endif  // TENSORGUARD_ADDON_BOUNDARY_H_
