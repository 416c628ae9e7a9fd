#include "prelude.h"
#include "targets.h"

#if defined(__aarch64__)
#include <arm_neon.h>

namespace tensorguard {
namespace neon {
#include "../simd/neon.h"
#include "../kernels/all.h"
}  // namespace neon

const KernelTable* neon_kernels() {
  static constexpr KernelTable table = neon::make_table("neon");
  return &table;
}

}  // namespace tensorguard

#else

namespace tensorguard {
const KernelTable* neon_kernels() { return nullptr; }
}  // namespace tensorguard

#endif
