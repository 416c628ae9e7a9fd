// What kernels need from outside, included before a target region begins: what is defined inside a region is
// compiled for its instruction set, and a standard header's inline functions must not be.
#ifndef TENSORGUARD_TARGETS_PRELUDE_H_
#define TENSORGUARD_TARGETS_PRELUDE_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "../core/chacha20.h"
#include "../core/chunk.h"
#include "../core/kernel_table.h"
#include "../core/ring.h"
#include "../core/secure_memory.h"

#endif  // TENSORGUARD_TARGETS_PRELUDE_H_
