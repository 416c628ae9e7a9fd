// The kernels' conformance: scalar code against docs/protocol.md, and every other instruction set that this
// build has and this machine runs against the scalar code. Needs no Node: it runs under emulators and
// sanitizers.
//
//   kernel_conformance [--quick] [--seed NUMBER]
//
// TENSORGUARD_FORCE_ISA leaves one instruction set to be compared. Exits 0, 1 (a check failed, or that
// instruction set is not there) or 2 (usage).

#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "conformance/checks.h"
#include "core/dispatch.h"

namespace tensorguard {
namespace conformance {
namespace {

struct Options {
  bool quick = false;
  uint64_t seed = 0;
};

bool parse(int argument_count, char** arguments, Options& options) {
  options.seed = std::random_device()();
  for (int i = 1; i < argument_count; ++i) {
    const std::string argument = arguments[i];
    if (argument == "--quick") {
      options.quick = true;
    } else if (argument == "--seed" && i + 1 < argument_count) {
      char* end = nullptr;
      options.seed = std::strtoull(arguments[++i], &end, 10);
      if (*end != 0 || end == arguments[i]) return false;
    } else {
      return false;
    }
  }
  return true;
}

// The instruction sets to compare with scalar; false where the one asked for is not there.
bool instruction_sets(std::vector<const KernelTable*>& tables) {
  if (std::getenv("TENSORGUARD_FORCE_ISA") != nullptr) {
    std::string error;
    const KernelTable* forced = select_kernels(error);
    if (forced == nullptr) {
      std::fprintf(stderr, "%s\n", error.c_str());
      return false;
    }
    tables = {forced};
  } else {
    tables = supported_kernels();
  }
  if (tables.front() == supported_kernels().front()) tables.erase(tables.begin());
  return true;
}

int run_checks(const Options& options) {
  std::vector<const KernelTable*> tables;
  if (!instruction_sets(tables)) return 1;
  std::printf("seed %llu (--seed %llu repeats this run)%s\n", static_cast<unsigned long long>(options.seed),
              static_cast<unsigned long long>(options.seed), options.quick ? ", quick" : "");
  if (tables.empty()) std::printf("only scalar here: nothing to compare it with\n");
  Report report;
  const Run run = {report, options.seed, options.quick};
  check_known_answers(run);
  check_ring(run);
  check_scalar_steps(run);
  check_scalar_packing(run);
  check_custody(run);
  check_scalar_rounds(run);
  check_rounds(run, *supported_kernels().front());
  check_refusals(run, *supported_kernels().front());
  for (const KernelTable* table : tables) {
    check_streams(run, *table);
    check_transforms(run, *table);
    check_words(run, *table);
    check_packing(run, *table);
    check_sums(run, *table);
    check_engine(run, *table);
    check_pipeline(run, *table);
    check_rounds(run, *table);
    check_refusals(run, *table);
  }
  return report.finish();
}

}  // namespace
}  // namespace conformance
}  // namespace tensorguard

int main(int argument_count, char** arguments) {
  tensorguard::conformance::Options options;
  if (!tensorguard::conformance::parse(argument_count, arguments, options)) {
    std::fprintf(stderr, "usage: kernel_conformance [--quick] [--seed NUMBER]\n");
    return 2;
  }
  return tensorguard::conformance::run_checks(options);
}
