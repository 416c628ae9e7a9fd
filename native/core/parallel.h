// Splits a range of chunks over threads.
#ifndef TENSORGUARD_CORE_PARALLEL_H_
#define TENSORGUARD_CORE_PARALLEL_H_

#include <cstddef>
#include <exception>
#include <functional>
#include <thread>
#include <vector>

namespace tensorguard {

// Runs task(thread, begin, end) over [0, chunk_count) on up to `threads` threads, the caller's being the
// first. Begins are even (two chunks may share a register). A thread gets at least 16 chunks (a quarter of a
// million coefficients, about a millisecond), below which starting it costs more than it saves. Rethrows the
// first task's exception after all have ended.
inline size_t thread_count(size_t chunk_count, size_t threads) {
  const size_t useful = (chunk_count + 15) / 16;
  const size_t count = threads < useful ? threads : useful;
  return count == 0 ? 1 : count;
}

inline void for_each_range(size_t chunk_count, size_t threads,
                           const std::function<void(size_t thread, size_t begin, size_t end)>& task) {
  const size_t count = thread_count(chunk_count, threads);
  const size_t share = ((chunk_count + count - 1) / count + 1) / 2 * 2;
  std::vector<std::exception_ptr> failures(count);
  const auto run = [&](size_t thread) {
    const size_t begin = thread * share;
    const size_t end = begin + share < chunk_count ? begin + share : chunk_count;
    if (begin >= end) return;
    try {
      task(thread, begin, end);
    } catch (...) {
      failures[thread] = std::current_exception();
    }
  };
  std::vector<std::thread> workers;
  workers.reserve(count);
  size_t started = 1;
  try {
    for (; started < count; ++started) workers.emplace_back(run, started);
  } catch (const std::exception&) {
    // The system gives no more threads: the caller does the rest.
  }
  run(0);
  for (size_t thread = started; thread < count; ++thread) run(thread);
  for (std::thread& worker : workers) worker.join();
  for (const std::exception_ptr& failure : failures)
    if (failure) std::rethrow_exception(failure);
}

}  // namespace tensorguard

#endif  // TENSORGUARD_CORE_PARALLEL_H_
