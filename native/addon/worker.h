// A job off the main thread that settles a promise.
#ifndef TENSORGUARD_ADDON_WORKER_H_
#define TENSORGUARD_ADDON_WORKER_H_

#include <napi.h>

#include <exception>
#include <new>
#include <string>
#include <utility>

namespace tensorguard {

// Subclasses run in `work`, which may throw: whatever it throws becomes the promise's rejection.
class Worker : public Napi::AsyncWorker {
 public:
  Worker(Napi::Env env, Napi::ObjectReference&& arguments)
      : Napi::AsyncWorker(env), arguments_(std::move(arguments)), deferred_(env) {}

  // Queues the worker, which then owns itself.
  static Napi::Value start(Worker* worker) {
    const Napi::Value promise = worker->deferred_.Promise();
    worker->Queue();
    return promise;
  }

 protected:
  virtual void work() = 0;
  virtual Napi::Value result(Napi::Env env) = 0;

 private:
  void Execute() override {
    try {
      work();
    } catch (const std::bad_alloc&) {
      SetError("out of memory");
    } catch (const std::exception& error) {
      SetError(error.what());
    } catch (...) {
      SetError("unknown native failure");
    }
  }
  void OnOK() override {
    Napi::HandleScope scope(Env());
    deferred_.Resolve(result(Env()));
  }
  void OnError(const Napi::Error& error) override {
    Napi::HandleScope scope(Env());
    deferred_.Reject(error.Value());
  }

  Napi::ObjectReference arguments_;
  Napi::Promise::Deferred deferred_;
};

}  // namespace tensorguard

#endif  // TENSORGUARD_ADDON_WORKER_H_
