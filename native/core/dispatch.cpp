#include "dispatch.h"

#include <cstdlib>

#include "../targets/targets.h"

namespace tensorguard {
namespace {

std::vector<const KernelTable*> detect() {
  std::vector<const KernelTable*> found = {scalar_kernels()};
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2")) found.push_back(avx2_kernels());
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
    found.push_back(avx512_kernels());
#elif defined(__aarch64__)
  found.push_back(neon_kernels());  // part of the architecture's base
#endif
  return found;
}

}  // namespace

const std::vector<const KernelTable*>& supported_kernels() {
  static const std::vector<const KernelTable*> tables = detect();
  return tables;
}

const KernelTable* kernels_by_name(const std::string& name) {
  for (const KernelTable* table : supported_kernels())
    if (name == table->name) return table;
  return nullptr;
}

const KernelTable* select_kernels(std::string& error) {
  const char* forced = std::getenv("TENSORGUARD_FORCE_ISA");
  // An empty variable is how scripts leave one unset.
  if (forced == nullptr || *forced == '\0') return supported_kernels().back();
  const KernelTable* table = kernels_by_name(forced);
  if (table != nullptr) return table;
  const std::string name = forced;
  const bool known = name == "scalar" || name == "avx2" || name == "avx512" || name == "neon";
  error = "TENSORGUARD_FORCE_ISA is \"" + name + "\", which " +
          (known ? "this machine does not support" : "is not an instruction set known here") +
          "; unset it, or set it to one of:";
  for (const KernelTable* supported : supported_kernels()) error += std::string(" ") + supported->name;
  return nullptr;
}

}  // namespace tensorguard
