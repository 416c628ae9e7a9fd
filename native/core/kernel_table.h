// What an instruction set offers, and the jobs it runs. Everything behind these pointers is compiled once for
// each instruction set (targets/*.cpp) from the same source (kernels/*.h).
#ifndef TENSORGUARD_CORE_KERNEL_TABLE_H_
#define TENSORGUARD_CORE_KERNEL_TABLE_H_

#include <cstddef>
#include <cstdint>

#include "pipeline_jobs.h"
#include "ring.h"

namespace tensorguard {

// The numbers of a plan that kernels need (docs/protocol.md section 3).
struct WireFormat {
  uint32_t parameter_set;
  uint32_t wire_bits;       // k
  uint32_t plaintext_bits;  // p
  uint32_t field_bits;      // p0
  uint32_t fold;            // f
  size_t value_count;
  size_t ring_elements;
  size_t first_element = 0;  // index of the first ring element: which streams it draws from
};

struct EncryptJob {
  WireFormat format;
  uint32_t mask_key[8];
  uint32_t error_key[8];
  const Twiddle* secret;  // NTT(s) / n with Shoup companions, n entries
  const int32_t* values;  // value_count, order of docs/protocol.md section 4
  uint8_t* ciphertext;    // ring_elements * n * k / 8 bytes
};

struct OpenJob {
  WireFormat format;
  uint32_t mask_key[8];
  const Twiddle* secret_sum;  // NTT(S) / n with Shoup companions
  const uint8_t* aggregate;
  int32_t* values;
};

// What the residuals of an opening say; the values themselves are never exposed (they would reveal S).
struct ResidualStatistics {
  uint32_t max_absolute;
  uint64_t sum_of_squares;
};

struct SumJob {
  uint32_t wire_bits;
  uint32_t ring_dimension;
  size_t ring_elements;
  const uint8_t* const* inputs;  // packed ciphertexts
  size_t input_count;
  uint8_t* sum;  // may be one of the inputs
};

// Ranges are counted in chunks (kChunkLanes ring elements); begins are even, so that a kernel may take two at
// once.
struct KernelTable {
  const char* name;
  // Largest |value| met, for the caller to refuse what is out of bounds. Throws std::bad_alloc.
  uint32_t (*encrypt)(const EncryptJob& job, size_t chunk_begin, size_t chunk_end);
  ResidualStatistics (*open)(const OpenJob& job, size_t chunk_begin, size_t chunk_end);
  void (*sum)(const SumJob& job, size_t chunk_begin, size_t chunk_end);
  // One polynomial of n words in [0, q), in place.
  void (*forward)(uint32_t parameter_set, uint32_t* polynomial);

  // The single steps, for the conformance tests. Rows are `lanes` wide: rows[i * lanes + lane].
  size_t lanes;
  void (*keystream)(const uint32_t key[8], uint32_t counter, uint32_t first_element, uint32_t* rows);
  void (*sample_uniform)(uint32_t parameter_set, const uint32_t key[8], uint32_t first_element,
                         uint32_t* rows);
  void (*sample_small)(uint32_t parameter_set, const uint32_t key[8], uint32_t first_element, uint32_t* rows);
  void (*forward_rows)(uint32_t parameter_set, uint32_t* rows);
  void (*multiply_inverse_rows)(uint32_t parameter_set, const Twiddle* factor, uint32_t* rows);
  void (*multiply_rows)(uint32_t parameter_set, const Twiddle* factor, uint32_t* rows);
  void (*encode)(uint32_t parameter_set, uint32_t plaintext_bits, uint32_t* words, size_t count);
  void (*switch_modulus)(uint32_t parameter_set, uint32_t wire_bits, uint32_t* words, size_t count);
  void (*pack)(uint32_t wire_bits, uint32_t ring_dimension, size_t lanes, const uint32_t* coefficients,
               uint32_t* packed);
  void (*unpack)(uint32_t wire_bits, uint32_t ring_dimension, size_t lanes, const uint32_t* packed,
                 uint32_t* coefficients);

  PipelineKernels pipeline;
};

}  // namespace tensorguard

#endif  // TENSORGUARD_CORE_KERNEL_TABLE_H_
