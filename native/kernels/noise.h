// Integer noise by inversion of a cumulative table: a magnitude is the number of thresholds at or below 63
// random bits. The whole table is scanned for every sample, since a search's addresses would tell the noise
// (and with it, to whoever sees the noisy value, the value).

// Registers of samples that one pass over the table serves: each threshold is loaded once for all of them.
constexpr size_t kNoiseTile = 4;
// Thresholds that stay in the first-level cache while all samples of a block are compared with them.
constexpr size_t kNoiseStep = 2048;

class NoiseKernel {
 public:
  explicit NoiseKernel(const NoiseJob& job)
      : job_(job),
        streams_(job.key, 0),
        random_(kBlockWords * kStreams),
        samples_(kBlockWords / 2 * kStreams),
        partial_row_(kStreams) {}

  void run(size_t begin, size_t end) {
    const size_t row_end = (end + kStreams - 1) / kStreams;
    size_t row = begin / kStreams;
    uint32_t counter = static_cast<uint32_t>(uint64_t{row} * job_.draws / kSamples);
    uint32_t draw = 0;
    for (; row < row_end; ++counter) {
      draw_samples(counter);
      for (size_t sample = 0; sample < kSamples && row < row_end; ++sample) {
        add_to_row(row, end, samples_.data() + sample * kStreams);
        if (++draw == job_.draws) {
          draw = 0;
          ++row;
        }
      }
    }
  }

 private:
  static constexpr size_t kSamples = kBlockWords / 2;  // of each stream in a block: two words each
  static_assert(kSamples * kRowWords % kNoiseTile == 0, "tiles are full");

  void draw_samples(uint32_t counter) {
    streams_.block(counter, random_.data());
    std::memset(samples_.data(), 0, samples_.size() * sizeof(uint32_t));
    for (size_t begin = 0; begin < job_.threshold_count; begin += kNoiseStep) {
      const size_t left = job_.threshold_count - begin;
      const size_t count = left < kNoiseStep ? left : kNoiseStep;
      for (size_t tile = 0; tile < kSamples * kRowWords; tile += kNoiseTile)
        scan(tile, job_.thresholds + begin, count);
    }
    // samples_ holds how many thresholds lie above, negated.
    const Lanes::Word all = Lanes::broadcast(static_cast<uint32_t>(job_.threshold_count));
    for (size_t i = 0; i < kSamples * kRowWords; ++i) {
      uint32_t* at = samples_.data() + i * Lanes::kCount;
      const Lanes::Word sign = Lanes::shift_right_signed(Lanes::load(high_words(i)), 31);
      const Lanes::Word magnitude = Lanes::add(all, Lanes::load(at));
      Lanes::store(at, Lanes::sub(Lanes::bit_xor(magnitude, sign), sign));
    }
  }

  void scan(size_t tile, const uint64_t* thresholds, size_t count) {
    Lanes::Wide x[kNoiseTile];
    Lanes::Count counts[kNoiseTile];
    for (size_t i = 0; i < kNoiseTile; ++i) {
      const uint32_t* high = high_words(tile + i);
      x[i] = Lanes::join(Lanes::load(high - kStreams),
                         Lanes::bit_and(Lanes::load(high), Lanes::broadcast(0x7fffffff)));
      counts[i] = Lanes::no_count();
    }
    for (size_t k = 0; k < count; ++k)
#pragma GCC unroll 8
      for (size_t i = 0; i < kNoiseTile; ++i) counts[i] = Lanes::count_down(counts[i], thresholds[k], x[i]);
    for (size_t i = 0; i < kNoiseTile; ++i) {
      uint32_t* at = samples_.data() + (tile + i) * Lanes::kCount;
      Lanes::store(at, Lanes::add(Lanes::load(at), Lanes::counted(counts[i])));
    }
  }

  // The upper words of register i of the samples; the lower ones are a row before.
  const uint32_t* high_words(size_t i) const {
    return random_.data() + (2 * (i / kRowWords) + 1) * kStreams + i % kRowWords * Lanes::kCount;
  }

  void add_to_row(size_t row, size_t end, const uint32_t* samples) {
    uint32_t* levels = reinterpret_cast<uint32_t*>(job_.levels) + row * kStreams;
    const size_t left = end - row * kStreams;
    if (left >= kStreams) return add_row(levels, samples, levels);
    std::memcpy(partial_row_.data(), levels, left * sizeof(uint32_t));
    add_row(partial_row_.data(), samples, partial_row_.data());
    std::memcpy(levels, partial_row_.data(), left * sizeof(uint32_t));
  }

  static void add_row(const uint32_t* levels, const uint32_t* samples, uint32_t* sums) {
    for (size_t i = 0; i < kStreams; i += Lanes::kCount)
      Lanes::store(sums + i, Lanes::add(Lanes::load(levels + i), Lanes::load(samples + i)));
  }

  const NoiseJob& job_;
  const SideBySide streams_;
  // Scratch of one thread; wiped with the kernel.
  SecretBuffer<uint32_t> random_;
  SecretBuffer<uint32_t> samples_;
  SecretBuffer<uint32_t> partial_row_;
};

inline void add_noise_range(const NoiseJob& job, size_t begin, size_t end) {
  NoiseKernel(job).run(begin, end);
}
