// Rotation of one tensor by random signs and a Hadamard transform of each block, which spreads its energy
// evenly ("randomized Hadamard transform", Ailon and Chazelle, SIAM J. Comput. 39(1), 2009), with the
// subsample of what is kept; and the way back.

// Squares are summed up in sixteen sums, value i in sum i mod 16, in this order on every instruction set.
class SquareSums {
 public:
  SquareSums() {
    for (Lanes::DoubleSquares& sum : sums_) sum = Lanes::no_double_squares();
  }
  // `count` values, the first of them a multiple of sixteen from the start; `to` gets a copy.
  void add(const float* from, float* to, size_t count) {
    Lanes::DoubleSquares sums[kRowWords];
    for (size_t part = 0; part < kRowWords; ++part) sums[part] = sums_[part];
    size_t i = 0;
    for (; i + kStreams <= count; i += kStreams)
      for (size_t part = 0; part < kRowWords; ++part) {
        const Lanes::Float x = Lanes::load_float(from + i + part * Lanes::kCount);
        Lanes::store_float(to + i + part * Lanes::kCount, x);
        sums[part] = Lanes::add_double_square(sums[part], x);
      }
    if (i < count) {
      float rest[kStreams] = {};
      std::memcpy(rest, from + i, (count - i) * sizeof(float));
      for (size_t part = 0; part < kRowWords; ++part)
        sums[part] = Lanes::add_double_square(sums[part], Lanes::load_float(rest + part * Lanes::kCount));
      std::memmove(to + i, from + i, (count - i) * sizeof(float));
    }
    for (size_t part = 0; part < kRowWords; ++part) sums_[part] = sums[part];
  }
  double total() const {
    double parts[kStreams];
    for (size_t part = 0; part < kRowWords; ++part)
      Lanes::store_doubles(parts + part * Lanes::kCount, sums_[part]);
    double sum = 0;
    for (const double part : parts) sum += part;
    return sum;
  }

 private:
  Lanes::DoubleSquares sums_[kRowWords];
};

inline double rotate_tensor(const RotateJob& job) {
  const RotationPlan& plan = job.plan;
  const bool all = plan.kept_count == plan.value_count;
  Signs signs(plan.sign_key, plan.tensor_index);
  SquareSums squares;
  // Zero, or not a number once it has met a value that is not finite.
  double poison = 0;
  size_t summed = 0;
  const auto sum_until = [&](size_t end) {
    if (!all) return;
    squares.add(job.values + summed, job.kept + summed, end - summed);
    summed = end;
  };
  const auto rotate_block = [&](size_t begin, size_t size) {
    transform_block<true>(job.values + begin, size, begin, signs);
    // Every coordinate of a transform sums up all of the block, so that one tells of them all.
    poison += static_cast<double>(job.values[begin]) * 0.0;
    // While they are in the cache.
    const size_t end = (begin + size) / kStreams * kStreams;
    if (end >= summed + kHadamardStep) sum_until(end);
  };
  if (plan.block_log2 != 0) {
    for_each_block(plan.value_count, plan.block_log2, rotate_block);
  } else if (!all) {
    for (size_t i = 0; i < plan.value_count; ++i) poison += static_cast<double>(job.values[i]) * 0.0;
  }
  sum_until(plan.value_count);
  if (!all) {
    Subsample sample(plan);
    for (size_t begin = 0; begin < plan.kept_count; begin += kHadamardStep) {
      const size_t left = plan.kept_count - begin;
      const size_t count = left < kHadamardStep ? left : kHadamardStep;
      for (size_t i = begin; i < begin + count; ++i) job.kept[i] = job.values[sample.next()];
      squares.add(job.kept + begin, job.kept + begin, count);
    }
  }
  return squares.total() + poison;
}

inline void apply_signs(float* values, size_t size, size_t coordinate, Signs& signs) {
  if (size < Lanes::kCount) {
    signs.fetch(coordinate);
    for (size_t i = 0; i < size; ++i) values[i] = signs.apply(values[i], coordinate + i);
    return;
  }
  for (size_t i = 0; i < size; i += Lanes::kCount) {
    Lanes::Float x[1];
    signs.fetch(coordinate + i);
    signs.load<1>(values + i, coordinate + i, x);
    Lanes::store_float(values + i, x[0]);
  }
}

inline void scale_levels(const int32_t* levels, float scale, float* values, size_t count) {
  const Lanes::Float factor = Lanes::broadcast_float(scale);
  size_t i = 0;
  for (; i + Lanes::kCount <= count; i += Lanes::kCount) {
    const Lanes::Word level = Lanes::load(reinterpret_cast<const uint32_t*>(levels) + i);
    Lanes::store_float(values + i, Lanes::mul_float(Lanes::to_float(level), factor));
  }
  for (; i < count; ++i) values[i] = static_cast<float>(levels[i]) * scale;
}

inline void rotate_tensor_back(const RotateBackJob& job) {
  const RotationPlan& plan = job.plan;
  const bool all = plan.kept_count == plan.value_count;
  Signs signs(plan.sign_key, plan.tensor_index);
  Subsample sample(plan);
  size_t placed = 0;
  size_t position = all ? 0 : sample.next();
  const auto place = [&](size_t begin, size_t size) {
    float* values = job.values + begin;
    if (all) {
      scale_levels(job.levels + begin, job.scale, values, size);
    } else {
      std::memset(values, 0, size * sizeof(float));
      while (placed < plan.kept_count && position < begin + size) {
        job.values[position] = static_cast<float>(job.levels[placed]) * job.scale;
        if (++placed < plan.kept_count) position = sample.next();
      }
    }
  };
  if (plan.block_log2 == 0) return place(0, plan.value_count);
  for_each_block(plan.value_count, plan.block_log2, [&](size_t begin, size_t size) {
    place(begin, size);
    transform_block<false>(job.values + begin, size, begin, signs);
    apply_signs(job.values + begin, size, begin, signs);
  });
}
