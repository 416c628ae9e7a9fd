// The function table of this instruction set.

template <class Kernel192, class Kernel128, class Job>
auto run_for_ring(const Job& job, size_t chunk_begin, size_t chunk_end) {
  if (job.format.parameter_set == Lwe192::kId) return Kernel192(job).run(chunk_begin, chunk_end);
  return Kernel128(job).run(chunk_begin, chunk_end);
}

inline uint32_t encrypt_chunks(const EncryptJob& job, size_t chunk_begin, size_t chunk_end) {
  return run_for_ring<EncryptKernel<Lwe192>, EncryptKernel<Lwe128>>(job, chunk_begin, chunk_end);
}

inline ResidualStatistics open_chunks(const OpenJob& job, size_t chunk_begin, size_t chunk_end) {
  return run_for_ring<OpenKernel<Lwe192>, OpenKernel<Lwe128>>(job, chunk_begin, chunk_end);
}

inline void keystream_rows(const uint32_t key[8], uint32_t counter, uint32_t first_element, uint32_t* rows) {
  Lanes::Word words[kBlockWords];
  chacha20_rows(ChaChaRows(key, Lanes::iota(first_element)), counter, words);
  for (size_t i = 0; i < kBlockWords; ++i) Lanes::store(rows + i * Lanes::kCount, words[i]);
}

inline void sample_uniform_rows(uint32_t parameter_set, const uint32_t key[8], uint32_t first_element,
                                uint32_t* rows) {
  if (parameter_set == Lwe192::kId) return sample_uniform<Lwe192>(key, first_element, rows);
  sample_uniform<Lwe128>(key, first_element, rows);
}

inline void sample_small_rows(uint32_t parameter_set, const uint32_t key[8], uint32_t first_element,
                              uint32_t* rows) {
  if (parameter_set == Lwe192::kId) return sample_small<Lwe192>(key, first_element, rows);
  sample_small<Lwe128>(key, first_element, rows);
}

inline void forward_rows(uint32_t parameter_set, uint32_t* rows) {
  const Twiddle* twiddles = ring_tables(parameter_set)->forward;
  if (parameter_set == Lwe192::kId) return forward_transform<Lwe192>(rows, twiddles);
  forward_transform<Lwe128>(rows, twiddles);
}

// One transform, in the first lane of a block: it is run once for an update, and its time does not matter.
inline void forward_polynomial(uint32_t parameter_set, uint32_t* polynomial) {
  const size_t n = ring_tables(parameter_set)->n;
  SecretBuffer<uint32_t> rows(n * Lanes::kCount);
  for (size_t i = 0; i < n; ++i) rows[i * Lanes::kCount] = polynomial[i];
  forward_rows(parameter_set, rows.data());
  for (size_t i = 0; i < n; ++i) polynomial[i] = rows[i * Lanes::kCount];
}

template <class Ring>
void multiply_inverse(const Twiddle* factor, uint32_t* rows) {
  const Twiddle* twiddles = ring_tables(Ring::kId)->inverse;
  inverse_all_but_last<Ring>(rows, factor, twiddles);
  for (size_t j = 0; j < Ring::kN / 4; ++j) {
    Lanes::Word x[4];
    inverse_last<Ring>(rows, j, twiddles, x);
    for (size_t r = 0; r < 4; ++r)
      Lanes::store(rows + (j + r * (Ring::kN / 4)) * Lanes::kCount,
                   Lanes::reduce(x[r], Lanes::broadcast(Ring::kQ)));
  }
}

inline void multiply_inverse_rows(uint32_t parameter_set, const Twiddle* factor, uint32_t* rows) {
  if (parameter_set == Lwe192::kId) return multiply_inverse<Lwe192>(factor, rows);
  multiply_inverse<Lwe128>(factor, rows);
}

template <class Ring>
void multiply_pointwise(const Twiddle* factor, uint32_t* rows) {
  for (size_t i = 0; i < Ring::kN; ++i) {
    const Lanes::Word product = multiply_lazy<Ring>(Lanes::load(rows + i * Lanes::kCount), factor[i]);
    Lanes::store(rows + i * Lanes::kCount, Lanes::reduce(product, Lanes::broadcast(Ring::kQ)));
  }
}

inline void multiply_rows(uint32_t parameter_set, const Twiddle* factor, uint32_t* rows) {
  if (parameter_set == Lwe192::kId) return multiply_pointwise<Lwe192>(factor, rows);
  multiply_pointwise<Lwe128>(factor, rows);
}

// Applies an operation on words to an array whose length need not be a multiple of the lanes.
template <class Operation>
void map_words(const Operation& operation, uint32_t* words, size_t count) {
  for (size_t begin = 0; begin < count; begin += Lanes::kCount) {
    const size_t present = count - begin < Lanes::kCount ? count - begin : Lanes::kCount;
    uint32_t row[Lanes::kCount] = {};
    std::memcpy(row, words + begin, present * sizeof(uint32_t));
    Lanes::store(row, operation(Lanes::load(row)));
    std::memcpy(words + begin, row, present * sizeof(uint32_t));
  }
}

template <class Ring>
struct EncodeWords {
  Encoder<Ring> encoder;
  Lanes::Word operator()(Lanes::Word x) const { return encoder.encode(x); }
};

template <class Ring>
struct SwitchWords {
  ModulusSwitch<Ring> modulus_switch;
  Lanes::Word operator()(Lanes::Word x) const { return modulus_switch.apply(x); }
};

inline void encode_words(uint32_t parameter_set, uint32_t plaintext_bits, uint32_t* words, size_t count) {
  if (parameter_set == Lwe192::kId)
    return map_words(EncodeWords<Lwe192>{Encoder<Lwe192>(plaintext_bits)}, words, count);
  map_words(EncodeWords<Lwe128>{Encoder<Lwe128>(plaintext_bits)}, words, count);
}

inline void switch_words(uint32_t parameter_set, uint32_t wire_bits, uint32_t* words, size_t count) {
  if (parameter_set == Lwe192::kId)
    return map_words(SwitchWords<Lwe192>{ModulusSwitch<Lwe192>(wire_bits)}, words, count);
  map_words(SwitchWords<Lwe128>{ModulusSwitch<Lwe128>(wire_bits)}, words, count);
}

// Chunk order (c = i * lanes + l) to packed words and back, through eight-lane rows.
template <bool kPack>
void repack(uint32_t wire_bits, uint32_t ring_dimension, size_t lanes, const uint32_t* in, uint32_t* out) {
  const PackingKernels kernels = packing_kernels(wire_bits);
  SecretBuffer<uint32_t> wide(ring_dimension * kChunkLanes * kChunksPerGroup);
  SecretBuffer<uint32_t> packed(ring_dimension * kChunkLanes * kChunksPerGroup);
  SecretBuffer<uint32_t> run(kRun * Lanes::kCount);
  const size_t packed_rows = ring_dimension / kRun * wire_bits;
  ChunkRows<uint32_t*> rows;
  ChunkRows<uint32_t*> words;
  ChunkRows<const uint32_t*> words_in;
  for (size_t c = 0; c < kChunksPerGroup; ++c) {
    rows.chunk[c] = wide.data() + c * ring_dimension * kChunkLanes;
    words.chunk[c] = packed.data() + c * ring_dimension * kChunkLanes;
    words_in.chunk[c] = words.chunk[c];
  }
  if (kPack) {
    widen_rows(reinterpret_cast<const uint8_t*>(in), lanes, ring_dimension, wide.data());
  } else {
    widen_rows(reinterpret_cast<const uint8_t*>(in), lanes, packed_rows, packed.data());
  }
  for (size_t block = 0; block < kBlocksPerGroup; ++block)
    for (size_t i = 0; i < ring_dimension; i += kRun) {
      const RowSink block_rows = rows.advanced(block * Lanes::kCount);
      const size_t at = i / kRun * wire_bits * kChunkLanes + block * Lanes::kCount;
      if (kPack) {
        for (size_t x = 0; x < kRun; ++x)
          Lanes::store(run.data() + x * Lanes::kCount, load_row(block_rows, i + x));
        kernels.pack(run.data(), words.advanced(at));
      } else {
        kernels.unpack(words_in.advanced(at), run.data());
        for (size_t x = 0; x < kRun; ++x)
          store_row(block_rows, i + x, Lanes::load(run.data() + x * Lanes::kCount));
      }
    }
  if (kPack) {
    narrow_rows(packed.data(), lanes, packed_rows, reinterpret_cast<uint8_t*>(out));
  } else {
    narrow_rows(wide.data(), lanes, ring_dimension, reinterpret_cast<uint8_t*>(out));
  }
}

constexpr KernelTable make_table(const char* name) {
  return KernelTable{name,           encrypt_chunks,        open_chunks,
                     sum_chunks,     forward_polynomial,    Lanes::kCount,
                     keystream_rows, sample_uniform_rows,   sample_small_rows,
                     forward_rows,   multiply_inverse_rows, multiply_rows,
                     encode_words,   switch_words,          repack<true>,
                     repack<false>,  make_pipeline_table()};
}
