// Random inputs that a printed seed repeats, leaning towards the values where arithmetic breaks.
#ifndef TENSORGUARD_TEST_CONFORMANCE_RANDOM_H_
#define TENSORGUARD_TEST_CONFORMANCE_RANDOM_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace tensorguard {
namespace conformance {

class Random {
 public:
  // A stream for each purpose, so that leaving one group of checks out does not change another's inputs.
  Random(uint64_t seed, const char* purpose) {
    uint64_t mixed = seed;
    for (; *purpose != 0; ++purpose) mixed = (mixed ^ static_cast<uint8_t>(*purpose)) * 0x100000001b3u;
    engine_.seed(mixed);
  }

  uint32_t word() {
    spare_ready_ = !spare_ready_;
    if (!spare_ready_) return spare_;
    const uint64_t drawn = engine_();
    spare_ = static_cast<uint32_t>(drawn);
    return static_cast<uint32_t>(drawn >> 32);
  }
  // In [0, bound).
  uint32_t below(uint32_t bound) {
    return static_cast<uint32_t>((static_cast<uint64_t>(word()) * bound) >> 32);
  }
  // In [low, high].
  uint32_t between(uint32_t low, uint32_t high) { return low + below(high - low + 1); }
  bool one_in(uint32_t count) { return below(count) == 0; }

  // In [0, modulus): often an end, or beside the middle.
  uint32_t residue(uint32_t modulus) {
    if (!one_in(4)) return below(modulus);
    const uint32_t edges[6] = {0, 1, (modulus - 1) / 2, modulus / 2, modulus - 2, modulus - 1};
    return edges[below(6)] % modulus;
  }

  void fill(uint8_t* out, size_t size) {
    uint32_t left = 0;
    for (size_t i = 0; i < size; ++i, left >>= 8) {
      if (i % 4 == 0) left = word();
      out[i] = static_cast<uint8_t>(left);
    }
  }
  std::vector<uint32_t> words(size_t count) {
    std::vector<uint32_t> out(count);
    for (uint32_t& value : out) value = word();
    return out;
  }
  std::vector<uint32_t> residues(size_t count, uint32_t modulus) {
    std::vector<uint32_t> out(count);
    for (uint32_t& value : out) value = residue(modulus);
    return out;
  }

 private:
  std::mt19937_64 engine_;
  uint32_t spare_ = 0;
  bool spare_ready_ = false;
};

}  // namespace conformance
}  // namespace tensorguard

#endif  // TENSORGUARD_TEST_CONFORMANCE_RANDOM_H_
