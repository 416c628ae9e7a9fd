// Memory as a careless caller might pass it: aligned to a word and no better, with nothing to spare.
#ifndef TENSORGUARD_TEST_CONFORMANCE_BUFFER_H_
#define TENSORGUARD_TEST_CONFORMANCE_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define TENSORGUARD_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TENSORGUARD_ADDRESS_SANITIZER 1
#endif
#endif

namespace tensorguard {
namespace conformance {

// Guards on both sides catch writes past the ends where no sanitizer runs: in emulators, and on AVX-512.
// AddressSanitizer has its own, right at the ends, and sees reads too.
#ifdef TENSORGUARD_ADDRESS_SANITIZER
constexpr size_t kGuardBefore = 0;
constexpr size_t kGuardAfter = 0;
#else
constexpr size_t kGuardBefore = 68;  // a cache line, and the word that spoils its alignment
constexpr size_t kGuardAfter = 64;
#endif

template <class T>
class Buffer {
 public:
  // Filled with a pattern: what a kernel forgets to write differs from what it should be.
  explicit Buffer(size_t count)
      : count_(count), bytes_(kGuardBefore + count * sizeof(T) + kGuardAfter, kPattern) {}
  explicit Buffer(const std::vector<T>& from) : Buffer(from.size()) {
    if (!from.empty()) std::memcpy(data(), from.data(), from.size() * sizeof(T));
  }

  T* data() { return reinterpret_cast<T*>(bytes_.data() + kGuardBefore); }
  const T* data() const { return reinterpret_cast<const T*>(bytes_.data() + kGuardBefore); }
  size_t size() const { return count_; }
  T& operator[](size_t index) { return data()[index]; }
  const T& operator[](size_t index) const { return data()[index]; }

  // Whether the guards are as they were.
  bool intact() const {
    for (size_t i = 0; i < kGuardBefore; ++i)
      if (bytes_[i] != kPattern) return false;
    for (size_t i = bytes_.size() - kGuardAfter; i < bytes_.size(); ++i)
      if (bytes_[i] != kPattern) return false;
    return true;
  }

 private:
  static constexpr uint8_t kPattern = 0xa5;
  size_t count_;
  std::vector<uint8_t> bytes_;
};

// A buffer's contents, to compare another with.
template <class T>
std::vector<T> contents(const Buffer<T>& buffer) {
  return std::vector<T>(buffer.data(), buffer.data() + buffer.size());
}

}  // namespace conformance
}  // namespace tensorguard

#endif  // TENSORGUARD_TEST_CONFORMANCE_BUFFER_H_
