#include "prelude.h"
#include "targets.h"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2")
#endif

namespace tensorguard {
namespace avx2 {
#include "../simd/avx2.h"
#include "../kernels/all.h"
}  // namespace avx2
}  // namespace tensorguard

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace tensorguard {

const KernelTable* avx2_kernels() {
  static constexpr KernelTable table = avx2::make_table("avx2");
  return &table;
}

}  // namespace tensorguard

#else

namespace tensorguard {
const KernelTable* avx2_kernels() { return nullptr; }
}  // namespace tensorguard

#endif
