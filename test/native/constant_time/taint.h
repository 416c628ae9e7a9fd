// Secrets as valgrind's memcheck sees them here: memory that counts as undefined, and makes undefined what is
// computed from it. A branch on it, or an address made from it, is reported.
#ifndef TENSORGUARD_TEST_CONSTANT_TIME_TAINT_H_
#define TENSORGUARD_TEST_CONSTANT_TIME_TAINT_H_

#ifndef TENSORGUARD_CONSTANT_TIME_CHECK
#error \
    "Build this, and native/core with it, with -DTENSORGUARD_CONSTANT_TIME_CHECK: the marks are empty without."
#endif

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/constant_time.h"

namespace tensorguard {
namespace constant_time {

inline bool under_memcheck() {
  // Off memcheck the request does nothing and answers 0.
  uint8_t value = 0;
  uint8_t bits = 0;
  return VALGRIND_GET_VBITS(&value, &bits, 1) == 1;
}

template <class T>
void make_secret(std::vector<T>& memory) {
  TENSORGUARD_SECRET(memory.data(), memory.size() * sizeof(T));
}

// Whether any bit depends on a secret.
inline bool is_secret(const void* memory, size_t size) {
  std::vector<uint8_t> undefined(size, 0);
  VALGRIND_GET_VBITS(memory, undefined.data(), size);
  for (const uint8_t bits : undefined)
    if (bits != 0) return true;
  return false;
}

template <class T>
bool is_secret(const std::vector<T>& memory) {
  return is_secret(memory.data(), memory.size() * sizeof(T));
}

template <class T>
void make_public(std::vector<T>& memory) {
  TENSORGUARD_PUBLIC(memory.data(), memory.size() * sizeof(T));
}

}  // namespace constant_time
}  // namespace tensorguard

#endif  // TENSORGUARD_TEST_CONSTANT_TIME_TAINT_H_
