// Encryption of whole chunks: mask, transform, error, message, modulus switch, packing (docs/protocol.md
// section 5).

// Messages of a group of chunks as rows: field by field where the chunk is full, folded already where it was
// staged.
struct MessageRows {
  RowSource field[32];
  uint32_t fold;
  bool staged;  // bounds were checked while staging
};

template <class Ring>
class EncryptKernel {
 public:
  explicit EncryptKernel(const EncryptJob& job)
      : job_(job),
        tables_(*ring_tables(Ring::kId)),
        encoder_(job.format.plaintext_bits),
        switch_(job.format.wire_bits),
        packing_(packing_kernels(job.format.wire_bits)),
        rows_(Ring::kN * Lanes::kCount),
        results_(4 * kRun * Lanes::kCount),
        errors_(2 * kRun * Lanes::kCount),
        messages_in_(Ring::kN * kChunkLanes * kChunksPerGroup),
        packed_out_(Ring::kN * kChunkLanes * kChunksPerGroup) {}

  uint32_t run(size_t chunk_begin, size_t chunk_end) {
    for (size_t chunk = chunk_begin; chunk < chunk_end; chunk += kChunksPerGroup) group(chunk, chunk_end);
    alignas(64) uint32_t largest[Lanes::kCount];
    Lanes::store(largest, largest_);
    for (uint32_t value : largest) staged_largest_ = larger_of(staged_largest_, value);
    return staged_largest_;
  }

 private:
  void group(size_t first_chunk, size_t chunk_end) {
    const WireFormat& format = job_.format;
    MessageRows messages;
    RowSink sink;
    Chunk chunks[kChunksPerGroup];
    bool present[kChunksPerGroup];
    bool all_full = true;
    for (size_t c = 0; c < kChunksPerGroup; ++c) {
      present[c] = first_chunk + c < chunk_end;
      if (present[c]) chunks[c] = chunk_at(format, Ring::kN, first_chunk + c);
      all_full = all_full && present[c] && chunks[c].is_full(format.fold);
    }
    messages.fold = all_full ? format.fold : 1;
    messages.staged = !all_full;
    for (size_t c = 0; c < kChunksPerGroup; ++c) {
      uint32_t* staged = messages_in_.data() + c * Ring::kN * kChunkLanes;
      uint32_t* staged_out = packed_out_.data() + c * Ring::kN * kChunkLanes;
      if (all_full) {
        for (uint32_t field = 0; field < format.fold; ++field)
          messages.field[field].chunk[c] = reinterpret_cast<const uint32_t*>(job_.values) +
                                           chunks[c].first_value + field * chunks[c].coefficients;
        sink.chunk[c] = reinterpret_cast<uint32_t*>(job_.ciphertext + chunks[c].packed_offset);
      } else {
        // A chunk that is absent is computed on zeros and thrown away.
        if (present[c])
          staged_largest_ =
              larger_of(staged_largest_, stage_messages(format, Ring::kN, chunks[c], job_.values, staged));
        messages.field[0].chunk[c] = staged;
        sink.chunk[c] = staged_out;
      }
    }
    for (size_t block = 0; block < kBlocksPerGroup; ++block) {
      const size_t lane = block * Lanes::kCount;
      MessageRows block_messages = messages;
      for (uint32_t field = 0; field < messages.fold; ++field)
        block_messages.field[field] = messages.field[field].advanced(lane);
      encrypt_block(static_cast<uint32_t>(format.first_element + first_chunk * kChunkLanes + lane),
                    block_messages, sink.advanced(lane));
    }
    if (all_full) return;
    for (size_t c = 0; c < kChunksPerGroup; ++c)
      if (present[c])
        narrow_rows(packed_out_.data() + c * Ring::kN * kChunkLanes, chunks[c].lanes,
                    Ring::kN / 32 * format.wire_bits, job_.ciphertext + chunks[c].packed_offset);
  }

  void encrypt_block(uint32_t first_element, const MessageRows& messages, const RowSink& sink) {
    constexpr size_t kQuarter = Ring::kN / 4;
    // Copies: what lies behind `this` would have to be reloaded after every store.
    const Encoder<Ring> encoder = encoder_;
    const ModulusSwitch<Ring> modulus_switch = switch_;
    const uint32_t field_bits = job_.format.field_bits;
    const Lanes::Word mask = Lanes::broadcast((1u << job_.format.plaintext_bits) - 1);
    Lanes::Word largest = largest_;
    const ChaChaRows error_stream(job_.error_key, Lanes::iota(first_element));
    sample_uniform<Ring>(job_.mask_key, first_element, rows_.data());
    inverse_all_but_last<Ring>(rows_.data(), job_.secret, tables_.inverse);
    for (size_t j = 0; j < kQuarter; j += kRun) {
      // Error words j and j + n/4 hold the errors of coefficients j + r * n/4 (docs/protocol.md section 2).
      for (uint32_t part = 0; part < 2; ++part)
        for (uint32_t block = 0; block < kRun / kBlockWords; ++block) {
          Lanes::Word words[kBlockWords];
          chacha20_rows(error_stream, static_cast<uint32_t>((j + part * kQuarter) / kBlockWords) + block,
                        words);
          for (size_t i = 0; i < kBlockWords; ++i)
            Lanes::store(errors_.data() + (part * kRun + block * kBlockWords + i) * Lanes::kCount, words[i]);
        }
      for (size_t x = 0; x < kRun; ++x) {
        Lanes::Word product[4];
        inverse_last<Ring>(rows_.data(), j + x, tables_.inverse, product);
        const Lanes::Word errors[2] = {small_pair(Lanes::load(errors_.data() + x * Lanes::kCount)),
                                       small_pair(Lanes::load(errors_.data() + (kRun + x) * Lanes::kCount))};
        for (size_t r = 0; r < 4; ++r) {
          const Lanes::Word pair = errors[r % 2];
          const Lanes::Word error =
              r < 2 ? Lanes::bit_and(pair, Lanes::broadcast(0xff)) : Lanes::shift_right(pair, 16);
          const Lanes::Word message =
              Lanes::bit_and(load_message(messages, j + x + r * kQuarter, field_bits, largest), mask);
          const Lanes::Word c = add_all(product[r], error, encoder.encode(message));
          Lanes::store(results_.data() + (r * kRun + x) * Lanes::kCount, modulus_switch.apply(c));
        }
      }
      for (size_t r = 0; r < 4; ++r)
        packing_.pack(results_.data() + r * kRun * Lanes::kCount,
                      sink.advanced((j + r * kQuarter) / kRun * job_.format.wire_bits * kChunkLanes));
    }
    largest_ = largest;
  }

  // The ciphertext before the switch, up to a multiple of q: product in [0, 2q), error in [0, 32] and 16 too
  // large, encoded message < q. The sum is at most (2q-1) + 32 + (q-16) + (q-1) = 4q + 14 < 2^32, and one
  // reduction leaves at most 2q + 14, which the switch takes as it is.
  static Lanes::Word add_all(Lanes::Word product, Lanes::Word error, Lanes::Word encoded) {
    static_assert(4 * uint64_t{Ring::kQ} + 14 < (uint64_t{1} << 32), "the sum fits a word");
    const Lanes::Word sum =
        Lanes::add(Lanes::add(product, encoded), Lanes::add(error, Lanes::broadcast(Ring::kQ - 16)));
    return Lanes::reduce(sum, Lanes::broadcast(2 * Ring::kQ));
  }

  static Lanes::Word load_message(const MessageRows& messages, size_t row, uint32_t field_bits,
                                  Lanes::Word& largest) {
    Lanes::Word sum = load_row(messages.field[0], row);
    if (messages.staged) return sum;
    largest = Lanes::max_unsigned(largest, Lanes::absolute(sum));
    for (uint32_t field = 1; field < messages.fold; ++field) {
      const Lanes::Word value = load_row(messages.field[field], row);
      largest = Lanes::max_unsigned(largest, Lanes::absolute(value));
      sum = Lanes::add(sum, Lanes::shift_left(value, static_cast<int>(field * field_bits)));
    }
    return sum;
  }

  const EncryptJob& job_;
  const RingTables& tables_;
  const Encoder<Ring> encoder_;
  const ModulusSwitch<Ring> switch_;
  const PackingKernels packing_;
  Lanes::Word largest_ = Lanes::broadcast(0);
  uint32_t staged_largest_ = 0;
  // Scratch of one thread; all of it is wiped with the kernel.
  SecretBuffer<uint32_t> rows_;
  SecretBuffer<uint32_t> results_;
  SecretBuffer<uint32_t> errors_;
  SecretBuffer<uint32_t> messages_in_;
  SecretBuffer<uint32_t> packed_out_;
};
