// Opening an aggregate with the sum of secrets (docs/protocol.md section 6). Cost does not depend on the
// number of clients.

// Where a group's values go: field by field in place where its chunks are full, else whole messages for
// unstaging.
struct OpenedRows {
  RowSink field[32];
  uint32_t fold;
  bool staged;
};

template <class Ring>
class OpenKernel {
 public:
  explicit OpenKernel(const OpenJob& job)
      : job_(job),
        tables_(*ring_tables(Ring::kId)),
        switch_(job.format.wire_bits),
        packing_(packing_kernels(job.format.wire_bits)),
        rows_(Ring::kN * Lanes::kCount),
        wire_(4 * kRun * Lanes::kCount),
        packed_in_(Ring::kN * kChunkLanes * kChunksPerGroup),
        messages_out_(Ring::kN * kChunkLanes * kChunksPerGroup) {}

  ResidualStatistics run(size_t chunk_begin, size_t chunk_end) {
    for (size_t chunk = chunk_begin; chunk < chunk_end; chunk += kChunksPerGroup) group(chunk, chunk_end);
    return statistics_;
  }

 private:
  // Only lanes that belong to the aggregate count in the statistics.
  void group(size_t first_chunk, size_t chunk_end) {
    const WireFormat& format = job_.format;
    RowSource source;
    Chunk chunks[kChunksPerGroup];
    bool present[kChunksPerGroup];
    for (size_t c = 0; c < kChunksPerGroup; ++c) {
      uint32_t* staged = packed_in_.data() + c * Ring::kN * kChunkLanes;
      present[c] = first_chunk + c < chunk_end;
      source.chunk[c] = staged;
      if (!present[c]) continue;
      chunks[c] = chunk_at(format, Ring::kN, first_chunk + c);
      const uint8_t* packed = job_.aggregate + chunks[c].packed_offset;
      if (chunks[c].lanes == kChunkLanes) {
        source.chunk[c] = reinterpret_cast<const uint32_t*>(packed);
      } else {
        widen_rows(packed, chunks[c].lanes, Ring::kN / kRun * format.wire_bits, staged);
      }
    }
    bool in_place = true;
    for (size_t c = 0; c < kChunksPerGroup; ++c)
      in_place = in_place && present[c] && chunks[c].is_full(format.fold);
    OpenedRows sinks;
    sinks.fold = in_place ? format.fold : 1;
    sinks.staged = !in_place;
    for (size_t c = 0; c < kChunksPerGroup; ++c) {
      sinks.field[0].chunk[c] = messages_out_.data() + c * Ring::kN * kChunkLanes;
      for (uint32_t field = 0; in_place && field < format.fold; ++field)
        sinks.field[field].chunk[c] =
            reinterpret_cast<uint32_t*>(job_.values) + chunks[c].first_value + field * chunks[c].coefficients;
    }
    for (size_t block = 0; block < kBlocksPerGroup; ++block) {
      const size_t lane = block * Lanes::kCount;
      uint32_t live[Lanes::kCount];
      for (size_t l = 0; l < Lanes::kCount; ++l) {
        const size_t c = l / kChunkLanes;
        live[l] = present[c] && (lane + l) % kChunkLanes < chunks[c].lanes ? ~0u : 0;
      }
      OpenedRows block_sinks = sinks;
      for (uint32_t field = 0; field < sinks.fold; ++field)
        block_sinks.field[field] = sinks.field[field].advanced(lane);
      open_block(static_cast<uint32_t>(format.first_element + first_chunk * kChunkLanes + lane),
                 source.advanced(lane), block_sinks, Lanes::load(live));
    }
    if (in_place) return;
    for (size_t c = 0; c < kChunksPerGroup; ++c)
      if (present[c])
        unstage_values(format, chunks[c],
                       reinterpret_cast<const int32_t*>(messages_out_.data() + c * Ring::kN * kChunkLanes),
                       job_.values);
  }

  // Splits a centred message into its fields, lowest first.
  static void store_fields(const OpenedRows& sinks, size_t row, Lanes::Word message, int field_bits) {
    if (sinks.staged || sinks.fold == 1) return store_row(sinks.field[0], row, message);
    const int shift = 32 - field_bits;
    for (uint32_t field = 0; field < sinks.fold; ++field) {
      const Lanes::Word value = Lanes::shift_right_signed(Lanes::shift_left(message, shift), shift);
      store_row(sinks.field[field], row, value);
      message = Lanes::shift_right_signed(Lanes::sub(message, value), field_bits);
    }
  }

  void open_block(uint32_t first_element, const RowSource& source, const OpenedRows& sinks,
                  Lanes::Word live) {
    constexpr size_t kQuarter = Ring::kN / 4;
    const ModulusSwitch<Ring> modulus_switch = switch_;
    const int field_bits = static_cast<int>(job_.format.field_bits);
    // d * 2^(32-k) turns "mod 2^k" into the wrap of a 32-bit word: rounding to a multiple of the step and
    // centring the rest are then an addition and arithmetic shifts.
    const int wire_shift = 32 - static_cast<int>(job_.format.wire_bits);
    const int message_shift = 32 - static_cast<int>(job_.format.plaintext_bits);
    const Lanes::Word half_step = Lanes::broadcast(1u << (message_shift - 1));
    Lanes::Word largest = Lanes::broadcast(0);
    typename Lanes::Squares squares = Lanes::no_squares();

    sample_uniform<Ring>(job_.mask_key, first_element, rows_.data());
    inverse_all_but_last<Ring>(rows_.data(), job_.secret_sum, tables_.inverse);
    for (size_t j = 0; j < kQuarter; j += kRun) {
      for (size_t r = 0; r < 4; ++r)
        packing_.unpack(source.advanced((j + r * kQuarter) / kRun * job_.format.wire_bits * kChunkLanes),
                        wire_.data() + r * kRun * Lanes::kCount);
      for (size_t x = 0; x < kRun; ++x) {
        Lanes::Word product[4];
        inverse_last<Ring>(rows_.data(), j + x, tables_.inverse, product);
        for (size_t r = 0; r < 4; ++r) {
          const Lanes::Word masked = modulus_switch.apply(product[r]);
          const Lanes::Word wire = Lanes::load(wire_.data() + (r * kRun + x) * Lanes::kCount);
          const Lanes::Word difference = Lanes::shift_left(Lanes::sub(wire, masked), wire_shift);
          const Lanes::Word message =
              Lanes::shift_right_signed(Lanes::add(difference, half_step), message_shift);
          const Lanes::Word residual = Lanes::bit_and(
              live, Lanes::shift_right_signed(
                        Lanes::sub(difference, Lanes::shift_left(message, message_shift)), wire_shift));
          largest = Lanes::max_unsigned(largest, Lanes::absolute(residual));
          squares = Lanes::add_square(squares, residual);
          store_fields(sinks, j + x + r * kQuarter, message, field_bits);
        }
      }
    }
    uint32_t lane_largest[Lanes::kCount];
    Lanes::store(lane_largest, largest);
    for (uint32_t value : lane_largest) statistics_.max_absolute = larger_of(statistics_.max_absolute, value);
    statistics_.sum_of_squares += Lanes::total(squares);
  }

  const OpenJob& job_;
  const RingTables& tables_;
  const ModulusSwitch<Ring> switch_;
  const PackingKernels packing_;
  ResidualStatistics statistics_ = {0, 0};
  SecretBuffer<uint32_t> rows_;
  SecretBuffer<uint32_t> wire_;
  SecretBuffer<uint32_t> packed_in_;
  SecretBuffer<uint32_t> messages_out_;
};
