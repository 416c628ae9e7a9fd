// Sums of packed ciphertexts, packed in and packed out, componentwise mod 2^k: unpack, add and pack in one.
//
// Hardly anything is unpacked one by one. Of a packed word, a field at bit s and everything above it is added
// up in an accumulator of its own after the bits below s are cleared: what carries out of the field at the
// top is junk above it, and junk above vanishes mod 2^k. Only a field that straddles into the next word is
// shifted down first, so that the carries of its lower part are kept; its upper part stands at the next
// word's bit 0, where the plain sum of the words serves, without any clearing. That saves half of the shifts,
// which are the scarce operation.

constexpr size_t kSumBatch = 8;
// Bytes of the running sum that stay in the second-level cache between batches.
constexpr size_t kSumStripeBytes = 128 * 1024;

// One run of each lane: kBits rows of every input into kBits rows of the sum.
template <uint32_t kBits, size_t kInputs>
inline void sum_run(const RowSource (&inputs)[kInputs], const RowSink& sum) {
  const Lanes::Word mask = Lanes::broadcast((1u << kBits) - 1);
  Lanes::Word plain[kBits];
  Lanes::Word fields[kRun];
#pragma GCC unroll 32
  for (uint32_t word = 0; word < kBits; ++word) {
    // Fields x with x * k in [32 word, 32 word + 32) begin in this word.
    const uint32_t first = (32 * word + kBits - 1) / kBits;
    const uint32_t last = (32 * word + 31) / kBits;
    plain[word] = Lanes::broadcast(0);
#pragma GCC unroll 8
    for (uint32_t x = first; x <= last; ++x) fields[x] = Lanes::broadcast(0);
#pragma GCC unroll 8
    for (size_t input = 0; input < kInputs; ++input) {
      const Lanes::Word value = load_row(inputs[input], word);
      plain[word] = Lanes::add(plain[word], value);
#pragma GCC unroll 8
      for (uint32_t x = first; x <= last; ++x) {
        const uint32_t bit = x * kBits % 32;
        if (bit + kBits > 32) {
          fields[x] = Lanes::add(fields[x], Lanes::shift_right(value, static_cast<int>(bit)));
        } else if (bit != 0) {
          fields[x] = Lanes::add(fields[x], Lanes::bit_and(value, Lanes::broadcast(~((1u << bit) - 1))));
        }
      }
    }
  }
  Lanes::Word packed = Lanes::broadcast(0);
#pragma GCC unroll 32
  for (uint32_t x = 0; x < kRun; ++x) {
    const uint32_t bit = x * kBits % 32;
    const uint32_t word = x * kBits / 32;
    Lanes::Word value;
    if (bit + kBits > 32) {
      value = Lanes::add(fields[x], Lanes::shift_left(plain[(word + 1) % kBits], static_cast<int>(32 - bit)));
    } else {
      value = bit == 0 ? plain[word] : Lanes::shift_right(fields[x], static_cast<int>(bit));
    }
    value = Lanes::bit_and(value, mask);
    packed = bit == 0 ? value : Lanes::bit_or(packed, Lanes::shift_left(value, static_cast<int>(bit)));
    if (bit + kBits >= 32) {
      store_row(sum, word, packed);
      if (bit + kBits > 32) packed = Lanes::shift_right(value, static_cast<int>(32 - bit));
    }
  }
}

// `run_count` runs of eight-lane rows that follow each other.
template <uint32_t kBits, size_t kInputs>
void sum_runs(const uint32_t* const* inputs, size_t offset_words, size_t run_count, uint32_t* sum) {
  constexpr size_t kRunWords = kBits * kChunkLanes;
  RowSource from[kInputs];
  for (size_t run = 0; run < run_count; run += kChunksPerGroup) {
    const size_t at = offset_words + run * kRunWords;
    for (size_t block = 0; block < kBlocksPerGroup; ++block) {
      RowSink to;
      for (size_t c = 0; c < kChunksPerGroup; ++c) {
        const size_t begin = at + c * kRunWords + block * Lanes::kCount;
        for (size_t i = 0; i < kInputs; ++i) from[i].chunk[c] = inputs[i] + begin;
        to.chunk[c] = sum + begin;
      }
      sum_run<kBits, kInputs>(from, to);
    }
  }
}

// How many inputs the next batch takes: 8, 4 or 2, the sizes that are instantiated.
inline size_t batch_size(size_t available) {
  return available >= kSumBatch ? kSumBatch : available >= 4 ? 4 : 2;
}

// Adds 8, 4 or 2 inputs; the first may be the sum itself.
template <uint32_t kBits>
void sum_batch(const uint32_t* const* inputs, size_t input_count, size_t offset_words, size_t run_count,
               uint32_t* sum) {
  if (input_count == kSumBatch) return sum_runs<kBits, kSumBatch>(inputs, offset_words, run_count, sum);
  if (input_count == 4) return sum_runs<kBits, 4>(inputs, offset_words, run_count, sum);
  sum_runs<kBits, 2>(inputs, offset_words, run_count, sum);
}

using SumBatch = void (*)(const uint32_t* const* inputs, size_t input_count, size_t offset_words,
                          size_t run_count, uint32_t* sum);

template <uint32_t... kOffsets>
SumBatch sum_batch_for(uint32_t wire_bits, std::integer_sequence<uint32_t, kOffsets...>) {
  static constexpr SumBatch kTable[] = {sum_batch<kMinWireBits + kOffsets>...};
  return kTable[wire_bits - kMinWireBits];
}

inline SumBatch sum_batch_kernel(uint32_t wire_bits) {
  return sum_batch_for(wire_bits, std::make_integer_sequence<uint32_t, kMaxWireBits - kMinWireBits + 1>());
}

// All inputs over one range of runs, a stripe at a time, so that the running sum stays in cache.
inline void sum_range(SumBatch batch, uint32_t wire_bits, const uint32_t* const* inputs, size_t input_count,
                      size_t offset_words, size_t run_count, uint32_t* sum) {
  const size_t run_words = wire_bits * kChunkLanes;
  size_t stripe = kSumStripeBytes / (run_words * sizeof(uint32_t)) / 2 * 2;
  for (size_t run = 0; run < run_count; run += stripe) {
    const size_t runs = run_count - run < stripe ? run_count - run : stripe;
    const size_t offset = offset_words + run * run_words;
    if (input_count == 1) {
      std::memmove(sum + offset, inputs[0] + offset, runs * run_words * sizeof(uint32_t));
      continue;
    }
    size_t done = batch_size(input_count);
    batch(inputs, done, offset, runs, sum);
    while (done < input_count) {
      const size_t size = batch_size(input_count - done + 1);
      const uint32_t* next[kSumBatch] = {sum};
      for (size_t i = 1; i < size; ++i) next[i] = inputs[done++];
      batch(next, size, offset, runs, sum);
    }
  }
}

inline void sum_chunks(const SumJob& job, size_t chunk_begin, size_t chunk_end) {
  const SumBatch batch = sum_batch_kernel(job.wire_bits);
  const uint32_t* const* inputs = reinterpret_cast<const uint32_t* const*>(job.inputs);
  const size_t chunk_runs = job.ring_dimension / kRun;
  const size_t chunk_words = chunk_runs * job.wire_bits * kChunkLanes;
  const size_t full_chunks = job.ring_elements / kChunkLanes;
  const size_t full_end = chunk_end < full_chunks ? chunk_end : full_chunks;
  if (chunk_begin < full_end)
    sum_range(batch, job.wire_bits, inputs, job.input_count, chunk_begin * chunk_words,
              (full_end - chunk_begin) * chunk_runs, reinterpret_cast<uint32_t*>(job.sum));
  if (chunk_end <= full_chunks) return;
  // The last chunk has fewer lanes: its rows are widened, a batch of inputs at a time.
  const size_t lanes = job.ring_elements % kChunkLanes;
  const size_t row_count = chunk_runs * job.wire_bits;
  SecretBuffer<uint32_t> wide(kSumBatch * chunk_words);
  const uint32_t* next[kSumBatch];
  for (size_t i = 0; i < kSumBatch; ++i) next[i] = wide.data() + i * chunk_words;
  const size_t offset = full_chunks * chunk_words * sizeof(uint32_t);
  widen_rows(job.inputs[0] + offset, lanes, row_count, wide.data());
  for (size_t done = 1; done < job.input_count;) {
    const size_t size = batch_size(job.input_count - done + 1);
    for (size_t i = 1; i < size; ++i)
      widen_rows(job.inputs[done++] + offset, lanes, row_count, wide.data() + i * chunk_words);
    batch(next, size, 0, chunk_runs, wide.data());
  }
  narrow_rows(wide.data(), lanes, row_count, job.sum + offset);
}
