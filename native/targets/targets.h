// The instruction sets' tables; nullptr where this build's architecture lacks the instruction set.
#ifndef TENSORGUARD_TARGETS_TARGETS_H_
#define TENSORGUARD_TARGETS_TARGETS_H_

#include "../core/kernel_table.h"

namespace tensorguard {

const KernelTable* scalar_kernels();
const KernelTable* avx2_kernels();
const KernelTable* avx512_kernels();
const KernelTable* neon_kernels();

}  // namespace tensorguard

#endif  // TENSORGUARD_TARGETS_TARGETS_H_
