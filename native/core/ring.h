// The two rings R_q = Z_q[X]/(X^n + 1) of docs/protocol.md section 1, and their transform tables.
#ifndef TENSORGUARD_CORE_RING_H_
#define TENSORGUARD_CORE_RING_H_

#include <cstddef>
#include <cstdint>

namespace tensorguard {

// A chunk of the format: eight ring elements side by side (docs/protocol.md section 4).
constexpr size_t kChunkLanes = 8;
// Largest wire width a kernel is instantiated for, over both rings.
constexpr uint32_t kMaxWireBits = 28;
constexpr uint32_t kMinWireBits = 4;

struct Lwe192 {
  static constexpr uint32_t kId = 0;
  static constexpr uint32_t kLogN = 11;
  static constexpr uint32_t kN = 1u << kLogN;
  static constexpr uint32_t kQ = 1073692673;
  static constexpr uint32_t kQBits = 30;
  static constexpr uint32_t kMaxWire = 28;
};

struct Lwe128 {
  static constexpr uint32_t kId = 1;
  static constexpr uint32_t kLogN = 10;
  static constexpr uint32_t kN = 1u << kLogN;
  static constexpr uint32_t kQ = 67104769;
  static constexpr uint32_t kQBits = 26;
  static constexpr uint32_t kMaxWire = 24;
};

// Twiddle factors beside their Shoup companions floor(w * 2^32 / q), in bit-reversed order: index h + i
// belongs to group i of the layer with h groups (Longa and Naehrig, ePrint 2016/504, algorithms 1 and 2).
struct Twiddle {
  uint32_t w;
  uint32_t shoup;
};

struct RingTables {
  uint32_t n;
  uint32_t log_n;
  uint32_t q;
  uint32_t q_bits;
  uint32_t n_inverse;      // n^-1 mod q
  uint64_t reciprocal;     // floor(2^61 / q), for constant-time Shoup companions of secrets
  const Twiddle* forward;  // psi^brv(i), n entries
  const Twiddle* inverse;  // psi^-brv(i), n entries
};

// Tables of parameter set 0 (lwe-192) or 1 (lwe-128), made once, at first use. Nullptr for another id.
const RingTables* ring_tables(uint32_t parameter_set);

// floor(value * 2^32 / q) for value < q, without a division: the value may be secret, and division takes a
// time that depends on its operands.
inline uint32_t shoup_companion(uint32_t value, const RingTables& ring) {
  // floor(2^61/q) falls short of 2^61/q by less than 1, so the estimate falls short by less than
  // value / 2^29 + 1 < 3 (value < 2^30): the remainder is below 3q, two conditional subtractions.
  uint64_t estimate = (static_cast<uint64_t>(value) * ring.reciprocal) >> 29;
  uint64_t remainder = (static_cast<uint64_t>(value) << 32) - estimate * ring.q;
  for (int round = 0; round < 2; ++round) {
    const uint64_t difference = remainder - ring.q;
    const uint64_t borrow = difference >> 63;
    estimate += 1 - borrow;
    remainder = difference + (ring.q & (0 - borrow));
  }
  return static_cast<uint32_t>(estimate);
}

// x >= modulus ? x - modulus : x, without a branch; x, modulus any 32-bit values.
inline uint32_t reduce_once(uint32_t x, uint32_t modulus) {
  const uint64_t difference = static_cast<uint64_t>(x) - modulus;
  return static_cast<uint32_t>(difference) + (modulus & static_cast<uint32_t>(difference >> 32));
}

// The larger of two, without a branch.
inline uint32_t larger_of(uint32_t a, uint32_t b) {
  const uint64_t difference = static_cast<uint64_t>(a) - b;
  return b + (static_cast<uint32_t>(difference) & ~static_cast<uint32_t>(difference >> 32));
}

// |a| of a word read as a signed integer, without a branch; 2^31 for the smallest.
inline uint32_t absolute_of(uint32_t a) {
  const uint32_t sign = static_cast<uint32_t>(static_cast<int32_t>(a) >> 31);
  return (a ^ sign) - sign;
}

// x * w mod q in [0, q), with w's Shoup companion; x any 32-bit value, w < q.
inline uint32_t multiply_shoup(uint32_t x, uint32_t w, uint32_t shoup, uint32_t q) {
  const uint32_t quotient = static_cast<uint32_t>((static_cast<uint64_t>(x) * shoup) >> 32);
  return reduce_once(x * w - quotient * q, q);
}

// a * b mod q in [0, q) for a, b < q; constant time.
inline uint32_t multiply_mod(uint32_t a, uint32_t b, const RingTables& ring) {
  return multiply_shoup(a, b, shoup_companion(b, ring), ring.q);
}

}  // namespace tensorguard

#endif  // TENSORGUARD_CORE_RING_H_
