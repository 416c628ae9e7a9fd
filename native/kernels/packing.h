// Bit packing: 32 coefficients of each lane become kBits rows of words, and back (docs/protocol.md section
// 5). "Vertical": every lane packs its own run, so that packing is shifts and ors within lanes, and no
// shuffle.

constexpr size_t kRun = 32;

template <uint32_t kBits>
void pack_run(const uint32_t* coefficients, const RowSink& packed) {
  const Lanes::Word mask = Lanes::broadcast((1u << kBits) - 1);
  Lanes::Word word = Lanes::broadcast(0);
#pragma GCC unroll 32
  for (uint32_t x = 0; x < kRun; ++x) {
    const Lanes::Word value = Lanes::bit_and(Lanes::load(coefficients + x * Lanes::kCount), mask);
    const uint32_t bit = x * kBits % 32;
    word = bit == 0 ? value : Lanes::bit_or(word, Lanes::shift_left(value, static_cast<int>(bit)));
    if (bit + kBits >= 32) {
      store_row(packed, x * kBits / 32, word);
      if (bit + kBits > 32) word = Lanes::shift_right(value, static_cast<int>(32 - bit));
    }
  }
}

template <uint32_t kBits>
void unpack_run(const RowSource& packed, uint32_t* coefficients) {
  const Lanes::Word mask = Lanes::broadcast((1u << kBits) - 1);
  Lanes::Word word = load_row(packed, 0);
#pragma GCC unroll 32
  for (uint32_t x = 0; x < kRun; ++x) {
    const uint32_t bit = x * kBits % 32;
    Lanes::Word value = Lanes::shift_right(word, static_cast<int>(bit));
    if (bit + kBits >= 32 && x + 1 < kRun) {
      word = load_row(packed, x * kBits / 32 + 1);
      if (bit + kBits > 32) value = Lanes::bit_or(value, Lanes::shift_left(word, static_cast<int>(32 - bit)));
    }
    Lanes::store(coefficients + x * Lanes::kCount, Lanes::bit_and(value, mask));
  }
}

struct PackingKernels {
  void (*pack)(const uint32_t* coefficients, const RowSink& packed);
  void (*unpack)(const RowSource& packed, uint32_t* coefficients);
};

template <uint32_t... kOffsets>
PackingKernels packing_for(uint32_t wire_bits, std::integer_sequence<uint32_t, kOffsets...>) {
  static constexpr PackingKernels kTable[] = {
      {pack_run<kMinWireBits + kOffsets>, unpack_run<kMinWireBits + kOffsets>}...};
  return kTable[wire_bits - kMinWireBits];
}

// wire_bits in [kMinWireBits, kMaxWireBits].
inline PackingKernels packing_kernels(uint32_t wire_bits) {
  return packing_for(wire_bits, std::make_integer_sequence<uint32_t, kMaxWireBits - kMinWireBits + 1>());
}
