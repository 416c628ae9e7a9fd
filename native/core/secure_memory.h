// Memory that is wiped when it is given back. The claim is made for native buffers only.
#ifndef TENSORGUARD_CORE_SECURE_MEMORY_H_
#define TENSORGUARD_CORE_SECURE_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>

namespace tensorguard {

// Overwrites memory in a way that the compiler may not drop: the asm makes the zeros observable.
inline void wipe(void* memory, size_t size) {
  std::memset(memory, 0, size);
  __asm__ __volatile__("" : : "r"(memory) : "memory");
}

// A fixed-size secret on the stack.
template <class T, size_t kCount>
struct SecretArray {
  T data[kCount];
  SecretArray() : data{} {}
  ~SecretArray() { wipe(data, sizeof data); }
  SecretArray(const SecretArray&) = delete;
  SecretArray& operator=(const SecretArray&) = delete;
};

// A cache-line aligned buffer on the heap, wiped when freed. Throws std::bad_alloc.
template <class T>
class SecretBuffer {
 public:
  explicit SecretBuffer(size_t count)
      : count_(count), data_(static_cast<T*>(::operator new (count * sizeof(T), std::align_val_t{64}))) {
    std::memset(data_, 0, count * sizeof(T));
  }
  ~SecretBuffer() {
    wipe(data_, count_ * sizeof(T));
    ::operator delete (data_, std::align_val_t{64});
  }
  SecretBuffer(const SecretBuffer&) = delete;
  SecretBuffer& operator=(const SecretBuffer&) = delete;
  T* data() { return data_; }
  const T* data() const { return data_; }
  size_t size() const { return count_; }
  T& operator[](size_t index) { return data_[index]; }
  const T& operator[](size_t index) const { return data_[index]; }

 private:
  size_t count_;
  T* data_;
};

}  // namespace tensorguard

#endif  // TENSORGUARD_CORE_SECURE_MEMORY_H_
