#include "ring.h"

#include <vector>

namespace tensorguard {
namespace {

// Public values only: division is fine here.
uint32_t power(uint32_t base, uint32_t exponent, uint32_t q) {
  uint64_t result = 1;
  uint64_t square = base;
  for (; exponent != 0; exponent >>= 1) {
    if (exponent & 1) result = result * square % q;
    square = square * square % q;
  }
  return static_cast<uint32_t>(result);
}

// The smallest primitive 2n-th root of unity: x is one iff x^n = -1 (2n is a power of two).
uint32_t smallest_primitive_root(uint32_t n, uint32_t q) {
  // Any primitive root generates the others as its odd powers.
  uint32_t candidate = 2;
  while (power(power(candidate, (q - 1) / (2 * n), q), n, q) != q - 1) ++candidate;
  const uint64_t root = power(candidate, (q - 1) / (2 * n), q);
  const uint64_t step = root * root % q;
  uint64_t smallest = root;
  uint64_t odd_power = root;
  for (uint32_t i = 1; i < n; ++i) {
    odd_power = odd_power * step % q;
    if (odd_power < smallest) smallest = odd_power;
  }
  return static_cast<uint32_t>(smallest);
}

uint32_t reverse_bits(uint32_t value, uint32_t bits) {
  uint32_t reversed = 0;
  for (uint32_t i = 0; i < bits; ++i) reversed |= ((value >> i) & 1) << (bits - 1 - i);
  return reversed;
}

class OwnedTables {
 public:
  template <class Ring>
  static OwnedTables make() {
    return OwnedTables(Ring::kN, Ring::kLogN, Ring::kQ, Ring::kQBits);
  }
  const RingTables& tables() const { return tables_; }

 private:
  OwnedTables(uint32_t n, uint32_t log_n, uint32_t q, uint32_t q_bits) : forward_(n), inverse_(n) {
    const uint32_t psi = smallest_primitive_root(n, q);
    const uint32_t psi_inverse = power(psi, q - 2, q);
    for (uint32_t i = 0; i < n; ++i) {
      const uint32_t exponent = reverse_bits(i, log_n);
      forward_[i] = twiddle(power(psi, exponent, q), q);
      inverse_[i] = twiddle(power(psi_inverse, exponent, q), q);
    }
    tables_ = RingTables{
        n, log_n, q, q_bits, power(n, q - 2, q), (uint64_t{1} << 61) / q, forward_.data(), inverse_.data()};
  }
  static Twiddle twiddle(uint32_t w, uint32_t q) {
    return Twiddle{w, static_cast<uint32_t>((static_cast<uint64_t>(w) << 32) / q)};
  }
  std::vector<Twiddle> forward_;
  std::vector<Twiddle> inverse_;
  RingTables tables_;
};

}  // namespace

const RingTables* ring_tables(uint32_t parameter_set) {
  static const OwnedTables lwe192 = OwnedTables::make<Lwe192>();
  static const OwnedTables lwe128 = OwnedTables::make<Lwe128>();
  if (parameter_set == Lwe192::kId) return &lwe192.tables();
  if (parameter_set == Lwe128::kId) return &lwe128.tables();
  return nullptr;
}

}  // namespace tensorguard
