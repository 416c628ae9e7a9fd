// Messages into R_q, and R_q onto the wire (docs/protocol.md section 5).

// round(q * m / 2^p), half up, for m in [0, 2^p). With q = 2^b - d this is
//   m * 2^(b-p) - floor((m * d + 2^(p-1) - 1) / 2^p),
// which stays within 32 bits: d < 2^16 (lwe-192), 2^12 (lwe-128).
template <class Ring>
class Encoder {
 public:
  explicit Encoder(uint32_t plaintext_bits)
      : bits_(static_cast<int>(plaintext_bits)), fits_(plaintext_bits + kDeficitBits <= 32) {}

  Lanes::Word encode(Lanes::Word message) const {
    const Lanes::Word deficit = Lanes::broadcast(kDeficit);
    const Lanes::Word high = Lanes::shift_left(message, static_cast<int>(Ring::kQBits) - bits_);
    if (fits_) {
      // m * d + 2^(p-1) - 1 < 2^p * d + 2^p <= 2^p * 2^(deficit bits) <= 2^32.
      const Lanes::Word product =
          Lanes::add(Lanes::mul_low(message, deficit), Lanes::broadcast((1u << (bits_ - 1)) - 1));
      return Lanes::sub(high, Lanes::shift_right(product, bits_));
    }
    // m * 2^(32-p) * d as 64 bits: the quotient is the upper word, the remainder the lower one. It rounds up
    // when the remainder exceeds 2^31: with remainder = 2a + b, iff a + b > 2^30.
    const Lanes::Word scaled = Lanes::shift_left(message, 32 - bits_);
    const Lanes::Word remainder = Lanes::mul_low(scaled, deficit);
    const Lanes::Word a_plus_b =
        Lanes::add(Lanes::shift_right(remainder, 1), Lanes::bit_and(remainder, Lanes::broadcast(1)));
    const Lanes::Word up = Lanes::shift_right(Lanes::add(a_plus_b, Lanes::broadcast((1u << 30) - 1)), 31);
    return Lanes::sub(high, Lanes::add(Lanes::mul_high(scaled, deficit), up));
  }

 private:
  static constexpr uint32_t kDeficit = (1u << Ring::kQBits) - Ring::kQ;
  static constexpr uint32_t kDeficitBits = Ring::kQBits == 30 ? 16 : 12;
  static_assert(kDeficit < (1u << kDeficitBits), "q = 2^b - d with a small d");
  int bits_;
  bool fits_;
};

// round(c * 2^k / q) mod 2^k, exactly, for c in [0, 2q + 14]: a multiple of q in c is a multiple of 2^k in
// the result. The bits from k on are still to be masked off. With W = floor(2^(32+k) / q) < 2^32, c * W /
// 2^32 falls short of x = c * 2^k / q by less than c / 2^32 < 1/2, so that t = floor(c * W / 2^32) > x - 3/2
// and the remainder c * 2^k - t * q lies in [0, 1.5 q), below 2^31: one comparison with q/2 rounds.
template <class Ring>
class ModulusSwitch {
  static_assert(2 * uint64_t{Ring::kQ} + 14 < (uint64_t{1} << 31), "c / 2^32 < 1/2");

 public:
  explicit ModulusSwitch(uint32_t wire_bits)
      : bits_(static_cast<int>(wire_bits)),
        factor_(static_cast<uint32_t>((uint64_t{1} << (32 + wire_bits)) / Ring::kQ)) {}

  Lanes::Word apply(Lanes::Word c) const {
    const Lanes::Word floor = Lanes::mul_high(c, Lanes::broadcast(factor_));
    const Lanes::Word remainder =
        Lanes::sub(Lanes::shift_left(c, bits_), Lanes::mul_low(floor, Lanes::broadcast(Ring::kQ)));
    return Lanes::sub(floor, Lanes::greater_signed(remainder, Lanes::broadcast((Ring::kQ - 1) / 2)));
  }

 private:
  int bits_;
  uint32_t factor_;
};
