// What runs on secrets.
#ifndef TENSORGUARD_TEST_CONSTANT_TIME_OPERATIONS_H_
#define TENSORGUARD_TEST_CONSTANT_TIME_OPERATIONS_H_

#include <cstdint>

#include "core/kernel_table.h"

namespace tensorguard {
namespace constant_time {

// Each prints a line for what has run. False where an output does not depend on the secrets that went in: the
// marks were lost on the way, and silence would say nothing.
bool run_primitives(uint32_t parameter_set);
bool run_custody(uint32_t parameter_set);
bool run_kernels(const KernelTable& table, uint32_t parameter_set);
bool run_encryptions(const KernelTable& table, uint32_t parameter_set);

// Mistakes on purpose, which memcheck must report.
void run_planted_branch();
void run_planted_index();

}  // namespace constant_time
}  // namespace tensorguard

#endif  // TENSORGUARD_TEST_CONSTANT_TIME_OPERATIONS_H_
