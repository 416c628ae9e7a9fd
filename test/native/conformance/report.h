// Counts checks, and says which failed and how: one line an instruction set and group.
#ifndef TENSORGUARD_TEST_CONFORMANCE_REPORT_H_
#define TENSORGUARD_TEST_CONFORMANCE_REPORT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "buffer.h"

namespace tensorguard {
namespace conformance {

class Report {
 public:
  // The checks that follow, up to the next call, belong to this group.
  void group(const char* instruction_set, const char* name);

  // One check. The rest, as for printf, tells which case it was.
  __attribute__((format(printf, 3, 4))) void check(bool passed, const char* format, ...);

  // The same numbers, and nothing written beside them.
  template <class T>
  __attribute__((format(printf, 4, 5))) void equal(const Buffer<T>& got, const std::vector<T>& expected,
                                                   const char* format, ...);

  // Prints the totals; the exit status.
  int finish();

 private:
  void close();
  void record(bool passed, const std::string& details);

  std::string instruction_set_;
  std::string group_;
  size_t group_passed_ = 0;
  size_t group_failed_ = 0;
  size_t passed_ = 0;
  size_t failed_ = 0;
};

}  // namespace conformance
}  // namespace tensorguard

#endif  // TENSORGUARD_TEST_CONFORMANCE_REPORT_H_
