// Negacyclic number-theoretic transforms of kCount ring elements side by side: rows[i * kCount + lane].
// Lazy butterflies (Harvey, arXiv:1205.2926) with Shoup multiplication; order and tables as in core/ring.h.

// x * w mod q, in [0, 2q), for any 32-bit x and w < q: the quotient estimate floor(x * shoup / 2^32) falls
// short by less than 2.
template <class Ring>
inline Lanes::Word multiply_lazy(Lanes::Word x, Lanes::Word w, Lanes::Word shoup) {
  const Lanes::Word quotient = Lanes::mul_high(x, shoup);
  return Lanes::sub(Lanes::mul_low(x, w), Lanes::mul_low(quotient, Lanes::broadcast(Ring::kQ)));
}

template <class Ring>
inline Lanes::Word multiply_lazy(Lanes::Word x, Twiddle twiddle) {
  return multiply_lazy<Ring>(x, Lanes::broadcast(twiddle.w), Lanes::broadcast(twiddle.shoup));
}

// Gentleman-Sande: (x, y) -> (x + y, (x - y) * w). In and out [0, 2q): x - y + 2q < 4q < 2^32.
template <class Ring>
inline void inverse_butterfly(Lanes::Word& x, Lanes::Word& y, Twiddle twiddle) {
  const Lanes::Word two_q = Lanes::broadcast(2 * Ring::kQ);
  const Lanes::Word difference = Lanes::add(Lanes::sub(x, y), two_q);
  x = Lanes::reduce(Lanes::add(x, y), two_q);
  y = multiply_lazy<Ring>(difference, twiddle);
}

// Two layers at once, strides t and 2t, on the four rows t apart.
template <class Ring>
inline void inverse_radix4(Lanes::Word x[4], Twiddle first_low, Twiddle first_high, Twiddle second) {
  inverse_butterfly<Ring>(x[0], x[1], first_low);
  inverse_butterfly<Ring>(x[2], x[3], first_high);
  inverse_butterfly<Ring>(x[0], x[2], second);
  inverse_butterfly<Ring>(x[1], x[3], second);
}

template <class Ring>
void inverse_radix4_pass(uint32_t* rows, size_t stride, size_t begin, size_t end, const Twiddle* twiddles) {
  const size_t layer = Ring::kN / (2 * stride);
  for (size_t i = begin / (4 * stride); i < end / (4 * stride); ++i) {
    const Twiddle first_low = twiddles[layer + 2 * i];
    const Twiddle first_high = twiddles[layer + 2 * i + 1];
    const Twiddle second = twiddles[layer / 2 + i];
    for (size_t j = 4 * stride * i; j < 4 * stride * i + stride; ++j) {
      Lanes::Word x[4];
      for (size_t r = 0; r < 4; ++r) x[r] = Lanes::load(rows + (j + r * stride) * Lanes::kCount);
      inverse_radix4<Ring>(x, first_low, first_high, second);
      for (size_t r = 0; r < 4; ++r) Lanes::store(rows + (j + r * stride) * Lanes::kCount, x[r]);
    }
  }
}

template <class Ring>
void inverse_radix2_pass(uint32_t* rows, size_t stride, size_t begin, size_t end, const Twiddle* twiddles) {
  const size_t layer = Ring::kN / (2 * stride);
  for (size_t i = begin / (2 * stride); i < end / (2 * stride); ++i) {
    const Twiddle twiddle = twiddles[layer + i];
    for (size_t j = 2 * stride * i; j < 2 * stride * i + stride; ++j) {
      Lanes::Word x = Lanes::load(rows + j * Lanes::kCount);
      Lanes::Word y = Lanes::load(rows + (j + stride) * Lanes::kCount);
      inverse_butterfly<Ring>(x, y, twiddle);
      Lanes::store(rows + j * Lanes::kCount, x);
      Lanes::store(rows + (j + stride) * Lanes::kCount, y);
    }
  }
}

// Rows that one depth-first step works on: 256 * 32 bytes (AVX2) or 256 * 64 (AVX-512) stay in a 32 KiB L1.
constexpr size_t kTransformStep = 256;

// All layers but the last two, on rows that hold a(X) in the NTT domain, multiplied on the way in by `factor`
// (NTT domain, common to all lanes; beside its Shoup companions). In [0, q); out [0, 2q). The last two
// layers, strides n/4 and n/2, are left to inverse_last, which its callers fuse with what they do to the
// coefficients. The factor 1/n is the caller's, who folds it into `factor`.
template <class Ring>
void inverse_all_but_last(uint32_t* rows, const Twiddle* factor, const Twiddle* twiddles) {
  constexpr size_t kLayers = Ring::kN / 4;
  for (size_t begin = 0; begin < Ring::kN; begin += kTransformStep) {
    const size_t end = begin + kTransformStep;
    for (size_t i = begin / 4; i < end / 4; ++i) {
      Lanes::Word x[4];
      for (size_t r = 0; r < 4; ++r)
        x[r] = multiply_lazy<Ring>(Lanes::load(rows + (4 * i + r) * Lanes::kCount), factor[4 * i + r]);
      inverse_radix4<Ring>(x, twiddles[2 * kLayers + 2 * i], twiddles[2 * kLayers + 2 * i + 1],
                           twiddles[kLayers + i]);
      for (size_t r = 0; r < 4; ++r) Lanes::store(rows + (4 * i + r) * Lanes::kCount, x[r]);
    }
    for (size_t stride = 4; stride < kTransformStep; stride *= 4)
      inverse_radix4_pass<Ring>(rows, stride, begin, end, twiddles);
    if (Ring::kN / 4 > kTransformStep && end % (2 * kTransformStep) == 0)
      inverse_radix2_pass<Ring>(rows, kTransformStep, end - 2 * kTransformStep, end, twiddles);
  }
  static_assert(Ring::kN / 4 == kTransformStep || Ring::kN / 4 == 2 * kTransformStep, "layers are all run");
}

// The last two layers on rows j, j + n/4, j + n/2, j + 3n/4; coefficients j + r * n/4 in [0, 2q).
template <class Ring>
inline void inverse_last(const uint32_t* rows, size_t j, const Twiddle* twiddles, Lanes::Word x[4]) {
  for (size_t r = 0; r < 4; ++r) x[r] = Lanes::load(rows + (j + r * (Ring::kN / 4)) * Lanes::kCount);
  inverse_radix4<Ring>(x, twiddles[2], twiddles[3], twiddles[1]);
}

// Cooley-Tukey, natural order in, NTT order out, in place. In [0, q), out [0, q).
template <class Ring>
void forward_transform(uint32_t* rows, const Twiddle* twiddles) {
  const Lanes::Word q = Lanes::broadcast(Ring::kQ);
  const Lanes::Word two_q = Lanes::broadcast(2 * Ring::kQ);
  for (size_t layer = 1; layer < Ring::kN; layer *= 2) {
    const size_t stride = Ring::kN / (2 * layer);
    for (size_t i = 0; i < layer; ++i) {
      const Twiddle twiddle = twiddles[layer + i];
      for (size_t j = 2 * stride * i; j < 2 * stride * i + stride; ++j) {
        // x and y in [0, 4q); x is brought to [0, 2q), y * w lies in [0, 2q): sum and difference + 2q stay
        // below 4q < 2^32.
        const Lanes::Word x = Lanes::reduce(Lanes::load(rows + j * Lanes::kCount), two_q);
        const Lanes::Word y = multiply_lazy<Ring>(Lanes::load(rows + (j + stride) * Lanes::kCount), twiddle);
        Lanes::store(rows + j * Lanes::kCount, Lanes::add(x, y));
        Lanes::store(rows + (j + stride) * Lanes::kCount, Lanes::add(Lanes::sub(x, y), two_q));
      }
    }
  }
  for (size_t i = 0; i < Ring::kN; ++i) {
    const Lanes::Word x = Lanes::load(rows + i * Lanes::kCount);
    Lanes::store(rows + i * Lanes::kCount, Lanes::reduce(Lanes::reduce(x, two_q), q));
  }
}
