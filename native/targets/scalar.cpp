#include "prelude.h"
#include "targets.h"

namespace tensorguard {
namespace scalar {
#include "../simd/scalar.h"
#include "../kernels/all.h"
}  // namespace scalar

const KernelTable* scalar_kernels() {
  static constexpr KernelTable table = scalar::make_table("scalar");
  return &table;
}

}  // namespace tensorguard
