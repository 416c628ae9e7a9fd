#include "prelude.h"
#include "targets.h"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512bw,avx512vl"))), \
                             apply_to = function)
#else
// gcc 12's own avx512fintrin.h initialises "undefined" registers from themselves, and warns about it.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl")
#endif

namespace tensorguard {
namespace avx512 {
#include "../simd/avx512.h"
#include "../kernels/all.h"
}  // namespace avx512
}  // namespace tensorguard

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace tensorguard {

const KernelTable* avx512_kernels() {
  static constexpr KernelTable table = avx512::make_table("avx512");
  return &table;
}

}  // namespace tensorguard

#else

namespace tensorguard {
const KernelTable* avx512_kernels() { return nullptr; }
}  // namespace tensorguard

#endif
