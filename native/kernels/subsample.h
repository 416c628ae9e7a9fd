// Which coordinates are kept: one of each of K strata, by a public stream. All of this is public.

// Keystream words 16 * first ... 16 * (first + kCount) - 1 of one element, a block in each lane.
inline void chacha20_successive(const uint32_t key[8], uint32_t element, uint32_t first,
                                Lanes::Word x[kBlockWords]) {
  for (size_t i = 0; i < 4; ++i) x[i] = Lanes::broadcast(kChaChaConstants[i]);
  for (size_t i = 0; i < 8; ++i) x[4 + i] = Lanes::broadcast(key[i]);
  x[12] = Lanes::iota(first);
  x[13] = Lanes::broadcast(element);
  x[14] = Lanes::broadcast(0);
  x[15] = Lanes::broadcast(0);
  for (int round = 0; round < 10; ++round) {
    quarter_round(x[0], x[4], x[8], x[12]);
    quarter_round(x[1], x[5], x[9], x[13]);
    quarter_round(x[2], x[6], x[10], x[14]);
    quarter_round(x[3], x[7], x[11], x[15]);
    diagonal_round(x);
  }
  for (size_t i = 0; i < 4; ++i) x[i] = Lanes::add(x[i], Lanes::broadcast(kChaChaConstants[i]));
  for (size_t i = 0; i < 8; ++i) x[4 + i] = Lanes::add(x[4 + i], Lanes::broadcast(key[i]));
  x[12] = Lanes::add(x[12], Lanes::iota(first));
  x[13] = Lanes::add(x[13], Lanes::broadcast(element));
}

// The kept positions in ascending order, where fewer than all are kept: of stratum i, [floor(i n / K),
// floor((i + 1) n / K)), the one that word i of the stream picks.
class Subsample {
 public:
  explicit Subsample(const RotationPlan& plan)
      : key_(plan.sample_key),
        element_(plan.tensor_index),
        kept_(plan.kept_count),
        quotient_(plan.value_count / plan.kept_count),
        remainder_(plan.value_count % plan.kept_count) {}

  size_t next() {
    const size_t in_window = index_ % kWindow;
    if (in_window == 0) refill();
    ++index_;
    // i n / K goes up by n / K: the fractions, in units of 1/K, are carried along.
    excess_ += remainder_;
    const size_t carry = excess_ >= kept_ ? 1 : 0;
    excess_ -= carry * kept_;
    const size_t width = quotient_ + carry;
    const uint64_t word = words_[in_window % kBlockWords * Lanes::kCount + in_window / kBlockWords];
    const size_t position = low_ + static_cast<size_t>(word * width >> 32);
    low_ += width;
    return position;
  }

 private:
  static constexpr size_t kWindow = kBlockWords * Lanes::kCount;

  void refill() {
    Lanes::Word x[kBlockWords];
    chacha20_successive(key_, element_, static_cast<uint32_t>(index_ / kBlockWords), x);
    for (size_t i = 0; i < kBlockWords; ++i) Lanes::store(words_ + i * Lanes::kCount, x[i]);
  }

  const uint32_t* key_;
  uint32_t element_;
  size_t kept_;
  size_t quotient_;
  size_t remainder_;
  size_t index_ = 0;
  size_t low_ = 0;
  size_t excess_ = 0;
  uint32_t words_[kWindow];
};
