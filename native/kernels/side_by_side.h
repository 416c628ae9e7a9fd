// Sixteen keystreams side by side: word w of streams first ... first + 15 is one row of sixteen words.

// Rows are made of this many registers, and this many ChaCha20 states are run for them.
constexpr size_t kRowWords = kStreams / Lanes::kCount;
static_assert(kRowWords * Lanes::kCount == kStreams, "a row is whole registers");

class SideBySide {
 public:
  SideBySide(const uint32_t key[8], uint32_t first)
      : SideBySide(key, first, std::make_integer_sequence<size_t, kRowWords>()) {}

  // Words 16 * counter ... 16 * counter + 15 of every stream.
  void block(uint32_t counter, uint32_t rows[kBlockWords * kStreams]) const {
    for (size_t part = 0; part < kRowWords; ++part) {
      Lanes::Word words[kBlockWords];
      chacha20_rows(streams_[part], counter, words);
      for (size_t i = 0; i < kBlockWords; ++i)
        Lanes::store(rows + i * kStreams + part * Lanes::kCount, words[i]);
    }
  }

 private:
  template <size_t... kParts>
  SideBySide(const uint32_t key[8], uint32_t first, std::integer_sequence<size_t, kParts...>)
      : streams_{{key, Lanes::iota(first + static_cast<uint32_t>(kParts * Lanes::kCount))}...} {}

  ChaChaRows streams_[kRowWords];
};
