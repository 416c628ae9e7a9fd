// Ring elements whose streams meet the bound of rejection exactly. A random one does once in half a million
// (lwe-192): these were found by a search.
#ifndef TENSORGUARD_TEST_CONFORMANCE_BOUNDARY_ELEMENTS_H_
#define TENSORGUARD_TEST_CONFORMANCE_BOUNDARY_ELEMENTS_H_

#include <cstdint>

namespace tensorguard {
namespace conformance {

// Under the key 00 01 02 ... 1f.
struct BoundaryElement {
  uint32_t parameter_set;
  uint32_t element;
  uint32_t word;     // which one of the stream
  uint32_t below_q;  // its low bits are q less this
};

constexpr BoundaryElement kBoundaryElements[4] = {
    {0, 244568, 882, 0}, {0, 524928, 882, 1}, {1, 77449, 193, 0}, {1, 424877, 19, 1}};

}  // namespace conformance
}  // namespace tensorguard

#endif  // TENSORGUARD_TEST_CONFORMANCE_BOUNDARY_ELEMENTS_H_
