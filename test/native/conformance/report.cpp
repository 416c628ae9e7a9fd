#include "report.h"

#include <cstdarg>
#include <cstdio>

namespace tensorguard {
namespace conformance {
namespace {

// What a broken kernel gets wrong, it gets wrong thousands of times.
constexpr size_t kFailuresShown = 5;

std::string formatted(const char* format, va_list arguments) {
  char text[512];
  std::vsnprintf(text, sizeof text, format, arguments);
  return text;
}

}  // namespace

void Report::group(const char* instruction_set, const char* name) {
  close();
  instruction_set_ = instruction_set;
  group_ = name;
}

void Report::close() {
  if (group_.empty()) return;
  if (group_passed_ + group_failed_ == 0) {
    // A group that checked nothing is a mistake in this program.
    ++group_failed_;
    std::printf("  nothing was checked\n");
  }
  std::printf("%-8s %-40s %7zu passed", instruction_set_.c_str(), group_.c_str(), group_passed_);
  if (group_failed_ != 0) std::printf(", %zu FAILED", group_failed_);
  std::printf("\n");
  std::fflush(stdout);
  passed_ += group_passed_;
  failed_ += group_failed_;
  group_passed_ = group_failed_ = 0;
  group_.clear();
}

void Report::record(bool passed, const std::string& details) {
  if (passed) {
    ++group_passed_;
    return;
  }
  if (group_failed_++ < kFailuresShown)
    std::printf("  %s, %s: %s\n", instruction_set_.c_str(), group_.c_str(), details.c_str());
}

void Report::check(bool passed, const char* format, ...) {
  if (passed) return record(true, "");
  va_list arguments;
  va_start(arguments, format);
  record(false, formatted(format, arguments));
  va_end(arguments);
}

template <class T>
void Report::equal(const Buffer<T>& got, const std::vector<T>& expected, const char* format, ...) {
  const bool same_size = got.size() == expected.size();
  size_t first = 0;
  if (same_size)
    while (first < expected.size() && got[first] == expected[first]) ++first;
  if (same_size && first == expected.size() && got.intact()) return record(true, "");

  va_list arguments;
  va_start(arguments, format);
  std::string details = formatted(format, arguments);
  va_end(arguments);
  if (!same_size) {
    details += ": " + std::to_string(got.size()) + " numbers instead of " + std::to_string(expected.size());
  } else if (first != expected.size()) {
    details += ": [" + std::to_string(first) + "] is " + std::to_string(got[first]) + " instead of " +
               std::to_string(expected[first]);
  } else {
    details += ": written past the ends of the buffer";
  }
  record(false, details);
}

template void Report::equal(const Buffer<uint8_t>&, const std::vector<uint8_t>&, const char*, ...);
template void Report::equal(const Buffer<uint32_t>&, const std::vector<uint32_t>&, const char*, ...);
template void Report::equal(const Buffer<int32_t>&, const std::vector<int32_t>&, const char*, ...);

int Report::finish() {
  close();
  std::printf("%zu passed, %zu failed\n", passed_, failed_);
  return failed_ == 0 ? 0 : 1;
}

}  // namespace conformance
}  // namespace tensorguard
