// What runs on secrets.
#ifndef TENSORGUARD_TEST_CONSTANT_TIME_OPERATIONS_H_
#define TENSORGUARD_TEST_CONSTANT_TIME_OPERATIONS_H_

#include <cstdint>
#include <vector>

#include "core/kernel_table.h"

namespace tensorguard {
namespace constant_time {

// Each prints a line for what has run. False where an output does not depend on the secrets that went in: the
// marks were lost on the way, and silence would say nothing.
bool run_primitives(uint32_t parameter_set);
bool run_custody(uint32_t parameter_set);
bool run_kernels(const KernelTable& table, uint32_t parameter_set);
bool run_encryptions(const KernelTable& table, uint32_t parameter_set);
bool run_pipeline(const KernelTable& table, uint32_t parameter_set);
bool run_openings(const KernelTable& table, uint32_t parameter_set);

// Opens a made-up aggregate, which is public as is the mask's key. Secret are the sum of secrets and, until
// the owner releases them, the values.
std::vector<int32_t> opened_values(const KernelTable& table, const WireFormat& format,
                                   ResidualStatistics& statistics);

// Mistakes on purpose, which memcheck must report.
void run_planted_branch();
void run_planted_index();
void run_planted_opening(const KernelTable& table);

}  // namespace constant_time
}  // namespace tensorguard

#endif  // TENSORGUARD_TEST_CONSTANT_TIME_OPERATIONS_H_
