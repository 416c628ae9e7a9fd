// Stochastic rounding of values to levels: v = floor(y + r / 65536) with y = value * factor and sixteen
// random bits r, clamped to +-limit. A level is one too high with a probability that is y's fraction, rounded
// down to a multiple of 2^-16, so that the mean is too low by less than 2^-16 of a level. The sum y + r /
// 65536 is itself rounded to float, to nearest: in steps of 2^-17 of a level or less for |y| < 128, 2^-16 for
// |y| < 256, and twice as much for each doubling beyond. That shifts the mean by at most half a step.

struct Rounded {
  Lanes::Word level;
  Lanes::Word clamped;  // all ones where the clamp changed the level
};

// `random` holds integers below 2^16; -limit stands in where y is not a number.
inline Rounded round_to_level(Lanes::Float value, Lanes::Word random, Lanes::Float factor,
                              Lanes::Float limit) {
  const Lanes::Float fraction =
      Lanes::mul_float(Lanes::to_float(random), Lanes::broadcast_float(1.0f / 65536));
  const Lanes::Float rounded =
      Lanes::floor_float(Lanes::add_float(Lanes::mul_float(value, factor), fraction));
  const Lanes::Float minus_limit = Lanes::sub_float(Lanes::broadcast_float(0), limit);
  const Lanes::Float level = Lanes::min_float(Lanes::max_float(rounded, minus_limit), limit);
  return {Lanes::to_integer(level), Lanes::differ_float(level, rounded)};
}

// Largest limit whose squares, a unit's in one lane, fit a word: 512 * 2047^2 < 2^31.
constexpr uint32_t kSmallLimit = 2047;
static_assert(uint64_t{kQuantizeUnit} * kSmallLimit * kSmallLimit < (uint64_t{1} << 31), "fits a word");

class QuantizeKernel {
 public:
  explicit QuantizeKernel(const QuantizeJob& job)
      : job_(job), streams_(job.key, 0), random_(kQuantizeUnit / 2), staged_(3 * kQuantizeUnit) {}

  void run(size_t begin, size_t end, PartStatistics* statistics) {
    size_t part = 0;
    for (size_t at = begin; at < end; at += kQuantizeUnit) {
      const size_t count = end - at < kQuantizeUnit ? end - at : kQuantizeUnit;
      streams_.block(static_cast<uint32_t>(at / kQuantizeUnit), random_.data());
      while (job_.parts[part].end <= at) ++part;
      const QuantizePart& here = job_.parts[part];
      if (count < kQuantizeUnit || here.end < at + count) {
        stage_unit(at, count, part, statistics);
      } else if (here.limit <= kSmallLimit) {
        whole_unit<true>(at, here, statistics[part]);
      } else {
        whole_unit<false>(at, here, statistics[part]);
      }
    }
  }

 private:
  // A unit that lies in one part.
  template <bool kSmall>
  void whole_unit(size_t at, const QuantizePart& part, PartStatistics& statistics) const {
    const Lanes::Float factor = Lanes::broadcast_float(part.factor);
    const Lanes::Float limit = Lanes::broadcast_float(static_cast<float>(part.limit));
    const float* values = job_.values + at;
    uint32_t* levels = reinterpret_cast<uint32_t*>(job_.levels) + at;
    Lanes::Word clamped = Lanes::broadcast(0);
    Lanes::Word small_squares = Lanes::broadcast(0);
    Lanes::Squares squares = Lanes::no_squares();
    const auto put = [&](size_t i, Lanes::Word random) {
      const Rounded rounded = round_to_level(Lanes::load_float(values + i), random, factor, limit);
      Lanes::store(levels + i, rounded.level);
      clamped = Lanes::sub(clamped, rounded.clamped);
      if constexpr (kSmall) {
        small_squares = Lanes::add(small_squares, Lanes::small_square(rounded.level));
      } else {
        squares = Lanes::add_square(squares, rounded.level);
      }
    };
    for (size_t row = 0; row < kBlockWords; ++row)
#pragma GCC unroll 4
      for (size_t i = 0; i < kStreams; i += Lanes::kCount) {
        const Lanes::Word random = Lanes::load(random_.data() + row * kStreams + i);
        put(2 * row * kStreams + i, Lanes::bit_and(random, Lanes::broadcast(0xffff)));
        put((2 * row + 1) * kStreams + i, Lanes::shift_right(random, 16));
      }
    statistics.saturated += sum_of_lanes(clamped);
    statistics.sum_of_squares += kSmall ? sum_of_lanes(small_squares) : Lanes::total(squares);
  }

  // A unit across parts, or the last one: computed in scratch, each value with its part's numbers. Where
  // parts end is public.
  void stage_unit(size_t at, size_t count, size_t first_part, PartStatistics* statistics) {
    float* values = staged_.data();
    float* factors = values + kQuantizeUnit;
    float* limits = factors + kQuantizeUnit;
    std::memset(values, 0, staged_.size() * sizeof(float));
    std::memcpy(values, job_.values + at, count * sizeof(float));
    size_t part = first_part;
    for (size_t i = 0; i < count; ++i) {
      while (job_.parts[part].end <= at + i) ++part;
      factors[i] = job_.parts[part].factor;
      limits[i] = static_cast<float>(job_.parts[part].limit);
    }
    for (size_t row = 0; row < 2 * kBlockWords; ++row)
      for (size_t i = row * kStreams; i < (row + 1) * kStreams; i += Lanes::kCount) {
        const Lanes::Word pair = Lanes::load(random_.data() + row / 2 * kStreams + i % kStreams);
        const Lanes::Word random =
            row % 2 == 0 ? Lanes::bit_and(pair, Lanes::broadcast(0xffff)) : Lanes::shift_right(pair, 16);
        const Rounded rounded = round_to_level(Lanes::load_float(values + i), random,
                                               Lanes::load_float(factors + i), Lanes::load_float(limits + i));
        Lanes::store_float(values + i, Lanes::as_float(rounded.level));
        Lanes::store_float(factors + i, Lanes::as_float(rounded.clamped));
      }
    std::memcpy(job_.levels + at, values, count * sizeof(int32_t));
    part = first_part;
    for (size_t i = 0; i < count; ++i) {
      while (job_.parts[part].end <= at + i) ++part;
      const int64_t level = job_.levels[at + i];
      uint32_t clamped;
      std::memcpy(&clamped, factors + i, sizeof clamped);
      statistics[part].saturated += clamped & 1;
      statistics[part].sum_of_squares += static_cast<uint64_t>(level * level);
    }
  }

  static uint64_t sum_of_lanes(Lanes::Word x) {
    uint32_t lanes[Lanes::kCount];
    Lanes::store(lanes, x);
    uint64_t sum = 0;
    for (const uint32_t lane : lanes) sum += lane;
    return sum;
  }

  const QuantizeJob& job_;
  const SideBySide streams_;
  // Scratch of one thread; wiped with the kernel.
  SecretBuffer<uint32_t> random_;
  SecretBuffer<float> staged_;
};

inline void quantize_range(const QuantizeJob& job, size_t begin, size_t end, PartStatistics* statistics) {
  QuantizeKernel(job).run(begin, end, statistics);
}
