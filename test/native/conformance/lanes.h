// Rows of several lanes, and the scalar kernels run on one lane after the other.
#ifndef TENSORGUARD_TEST_CONFORMANCE_LANES_H_
#define TENSORGUARD_TEST_CONFORMANCE_LANES_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tensorguard {
namespace conformance {

// rows[i * lanes + lane]; run_lane(lane, column) works on one lane's column in place.
template <class RunLane>
std::vector<uint32_t> lane_by_lane(std::vector<uint32_t> rows, size_t lanes, const RunLane& run_lane) {
  const size_t count = rows.size() / lanes;
  std::vector<uint32_t> column(count);
  for (size_t lane = 0; lane < lanes; ++lane) {
    for (size_t i = 0; i < count; ++i) column[i] = rows[i * lanes + lane];
    run_lane(lane, column.data());
    for (size_t i = 0; i < count; ++i) rows[i * lanes + lane] = column[i];
  }
  return rows;
}

}  // namespace conformance
}  // namespace tensorguard

#endif  // TENSORGUARD_TEST_CONFORMANCE_LANES_H_
