// The constant-time check, to be run under valgrind's memcheck: everything that touches secrets, on secrets
// that count as undefined memory. memcheck reports each branch and each address that depends on them, and its
// exit status
// (--error-exitcode) tells.
//
//   valgrind --error-exitcode=99 kernel_constant_time [--planted branch | index | opening]
//
// --planted makes a mistake on purpose, which must be reported. TENSORGUARD_FORCE_ISA names the instruction
// set. Exits 0, 1 (secrets went in and none came out, or there is no such instruction set) or 2 (usage, or
// not under memcheck).
//
// What is marked public on the way (TENSORGUARD_PUBLIC in native/core) is what the caller is told anyway: the
// largest |value|, for the refusal; the largest residual of an opening and the sum of their squares; whether
// packed residues are all below q; and which words of a share's stream are rejected, which are thrown away
// and independent of those kept.

#include <cstdio>
#include <cstring>
#include <string>

#include "constant_time/operations.h"
#include "constant_time/taint.h"
#include "core/dispatch.h"

namespace tensorguard {
namespace constant_time {
namespace {

const KernelTable* told_kernels() {
  std::string error;
  const KernelTable* table = select_kernels(error);
  if (table == nullptr) std::fprintf(stderr, "%s\n", error.c_str());
  return table;
}

int run_all() {
  const KernelTable* table = told_kernels();
  if (table == nullptr) return 1;
  bool secret = true;
  for (const uint32_t parameter_set : {Lwe192::kId, Lwe128::kId}) {
    secret = run_primitives(parameter_set) && secret;
    secret = run_custody(parameter_set) && secret;
    secret = run_kernels(*table, parameter_set) && secret;
    secret = run_encryptions(*table, parameter_set) && secret;
    secret = run_pipeline(*table, parameter_set) && secret;
    secret = run_openings(*table, parameter_set) && secret;
  }
  return secret ? 0 : 1;
}

int usage() {
  std::fprintf(stderr,
               "usage: valgrind --error-exitcode=99 kernel_constant_time [--planted branch|index|opening]\n");
  return 2;
}

int run(int argument_count, char** arguments) {
  if (!under_memcheck()) {
    std::fprintf(stderr, "kernel_constant_time says nothing unless it runs under valgrind's memcheck.\n");
    return usage();
  }
  if (argument_count == 1) return run_all();
  if (argument_count != 3 || std::strcmp(arguments[1], "--planted") != 0) return usage();
  if (std::strcmp(arguments[2], "branch") == 0) {
    run_planted_branch();
  } else if (std::strcmp(arguments[2], "index") == 0) {
    run_planted_index();
  } else if (std::strcmp(arguments[2], "opening") == 0) {
    const KernelTable* table = told_kernels();
    if (table == nullptr) return 1;
    run_planted_opening(*table);
  } else {
    return usage();
  }
  return 0;
}

}  // namespace
}  // namespace constant_time
}  // namespace tensorguard

int main(int argument_count, char** arguments) {
  return tensorguard::constant_time::run(argument_count, arguments);
}
