// The one choice of instruction set, made at load.
#ifndef TENSORGUARD_CORE_DISPATCH_H_
#define TENSORGUARD_CORE_DISPATCH_H_

#include <string>
#include <vector>

#include "kernel_table.h"

namespace tensorguard {

// What this build has and this machine runs, "scalar" first, the fastest last.
const std::vector<const KernelTable*>& supported_kernels();

// Nullptr where the name is unknown or not supported here.
const KernelTable* kernels_by_name(const std::string& name);

// The fastest, or the one that TENSORGUARD_FORCE_ISA names. Nullptr, with the reason in `error`, where it
// names an instruction set that is unknown or that this machine cannot run.
const KernelTable* select_kernels(std::string& error);

}  // namespace tensorguard

#endif  // TENSORGUARD_CORE_DISPATCH_H_
