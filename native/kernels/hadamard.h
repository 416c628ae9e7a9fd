// The fast Walsh-Hadamard transform of a block (Fino and Algazi, IEEE Trans. Computers C-25, 1976), in place:
// butterflies (a + b, a - b) with strides 1, 2, 4, ..., in this order for every coordinate, whatever the
// registers' width, so that every instruction set rounds alike. Up to three strides are taken at once in
// registers.

// Floats that stay in a 32 KiB first-level cache while all their strides are run.
constexpr size_t kHadamardStep = 4096;

template <size_t kStride>
inline Lanes::Float butterflies_in_register(Lanes::Float x) {
  if constexpr (kStride < Lanes::kCount) {
    return butterflies_in_register<2 * kStride>(Lanes::butterfly_lanes<kStride>(x));
  } else {
    return x;
  }
}

template <size_t kRadix>
inline void butterflies(Lanes::Float x[kRadix]) {
#pragma GCC unroll 3
  for (size_t stride = 1; stride < kRadix; stride *= 2)
#pragma GCC unroll 8
    for (size_t i = 0; i < kRadix; ++i)
      if ((i & stride) == 0) {
        const Lanes::Float a = x[i];
        const Lanes::Float b = x[i + stride];
        x[i] = Lanes::add_float(a, b);
        x[i + stride] = Lanes::sub_float(a, b);
      }
}

template <size_t kRadix, bool kScaled>
inline void store_butterflies(float* to, size_t stride, Lanes::Float x[kRadix], float scale) {
  butterflies<kRadix>(x);
#pragma GCC unroll 8
  for (size_t r = 0; r < kRadix; ++r) {
    const Lanes::Float result = kScaled ? Lanes::mul_float(x[r], Lanes::broadcast_float(scale)) : x[r];
    Lanes::store_float(to + r * stride, result);
  }
}

// Strides 1 to kRadix * kCount / 2 of `size` coordinates, signs before them where kSigned.
template <size_t kRadix, bool kSigned, bool kScaled>
void first_strides(float* values, size_t size, size_t coordinate, const Signs& signs, float scale) {
  for (size_t i = 0; i < size; i += kRadix * Lanes::kCount) {
    Lanes::Float x[kRadix];
    if constexpr (kSigned) {
      signs.load<kRadix>(values + i, coordinate + i, x);
    } else {
#pragma GCC unroll 8
      for (size_t r = 0; r < kRadix; ++r) x[r] = Lanes::load_float(values + i + r * Lanes::kCount);
    }
#pragma GCC unroll 8
    for (size_t r = 0; r < kRadix; ++r) x[r] = butterflies_in_register<1>(x[r]);
    store_butterflies<kRadix, kScaled>(values + i, Lanes::kCount, x, scale);
  }
}

// Strides stride to kRadix * stride / 2.
template <size_t kRadix, bool kScaled>
void next_strides(float* values, size_t size, size_t stride, float scale) {
  for (size_t begin = 0; begin < size; begin += kRadix * stride)
    for (size_t i = begin; i < begin + stride; i += Lanes::kCount) {
      Lanes::Float x[kRadix];
#pragma GCC unroll 8
      for (size_t r = 0; r < kRadix; ++r) x[r] = Lanes::load_float(values + i + r * stride);
      store_butterflies<kRadix, kScaled>(values + i, stride, x, scale);
    }
}

template <bool kSigned, bool kScaled>
inline size_t run_first_strides(float* values, size_t size, size_t coordinate, const Signs& signs,
                                float scale) {
  const size_t vectors = size / Lanes::kCount;
  if (vectors >= 8) {
    first_strides<8, kSigned, kScaled>(values, size, coordinate, signs, scale);
    return 8 * Lanes::kCount;
  }
  if (vectors == 4) first_strides<4, kSigned, kScaled>(values, size, coordinate, signs, scale);
  if (vectors == 2) first_strides<2, kSigned, kScaled>(values, size, coordinate, signs, scale);
  if (vectors == 1) first_strides<1, kSigned, kScaled>(values, size, coordinate, signs, scale);
  return size;
}

// The strides from `stride` to size / 2, and the scale with the last of them where kScaled.
template <bool kScaled>
inline void run_next_strides(float* values, size_t size, size_t stride, float scale) {
  for (; size / stride > 8; stride *= 8) next_strides<8, false>(values, size, stride, scale);
  if (size / stride == 8) next_strides<8, kScaled>(values, size, stride, scale);
  if (size / stride == 4) next_strides<4, kScaled>(values, size, stride, scale);
  if (size / stride == 2) next_strides<2, kScaled>(values, size, stride, scale);
}

// 1/sqrt(size), rounded to float: a power of two, or one times 1/sqrt(2).
inline float hadamard_scale(size_t size) {
  float scale = 1;
  for (; size >= 4; size /= 4) scale *= 0.5f;
  return size == 2 ? scale * 0.70710678118654752440f : scale;
}

// A block narrower than a register.
template <bool kSigned>
void transform_narrow(float* values, size_t size, size_t coordinate, const Signs& signs) {
  if constexpr (kSigned)
    for (size_t i = 0; i < size; ++i) values[i] = signs.apply(values[i], coordinate + i);
  for (size_t stride = 1; stride < size; stride *= 2)
    for (size_t i = 0; i < size; ++i)
      if ((i & stride) == 0) {
        const float a = values[i];
        const float b = values[i + stride];
        values[i] = a + b;
        values[i + stride] = a - b;
      }
  const float scale = hadamard_scale(size);
  for (size_t i = 0; i < size; ++i) values[i] *= scale;
}

// The orthonormal transform of one block, with the signs before it where kSigned.
template <bool kSigned>
void transform_block(float* values, size_t size, size_t coordinate, Signs& signs) {
  const float scale = hadamard_scale(size);
  const size_t step = size < kHadamardStep ? size : kHadamardStep;
  for (size_t begin = 0; begin < size; begin += step) {
    float* part = values + begin;
    if (kSigned) signs.fetch(coordinate + begin);
    if (size < Lanes::kCount) return transform_narrow<kSigned>(part, size, coordinate, signs);
    if (size <= 8 * Lanes::kCount) {
      run_first_strides<kSigned, true>(part, size, coordinate, signs, scale);
      return;
    }
    const size_t stride = run_first_strides<kSigned, false>(part, step, coordinate + begin, signs, scale);
    if (step == size) return run_next_strides<true>(part, step, stride, scale);
    run_next_strides<false>(part, step, stride, scale);
  }
  run_next_strides<true>(values, size, step, scale);
}
