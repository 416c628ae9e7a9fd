#include "reference_round.h"

#include <cstdlib>

#include "reference.h"

namespace tensorguard {
namespace conformance {
namespace {

constexpr size_t kElementsPerChunk = 8;

// x mod 2^bits, in [-2^(bits-1), 2^(bits-1)).
int64_t centred(int64_t x, uint32_t bits) {
  const int64_t modulus = int64_t{1} << bits;
  int64_t rest = x % modulus;
  if (rest < 0) rest += modulus;
  return rest >= modulus / 2 ? rest - modulus : rest;
}

int64_t floor_divided(int64_t x, int64_t divisor) {
  return x >= 0 ? x / divisor : -((-x + divisor - 1) / divisor);
}

}  // namespace

ReferenceRound::ReferenceRound(const WireFormat& format, const uint8_t mask_key[32],
                               const std::vector<int32_t>& secret)
    : format_(format), set_(kParameterSets[format.parameter_set]) {
  const uint32_t psi = smallest_root(set_.n, set_.q);
  std::vector<uint32_t> residues(set_.n);
  for (size_t i = 0; i < set_.n; ++i)
    residues[i] = static_cast<uint32_t>((int64_t{secret[i]} + set_.q) % set_.q);
  for (size_t j = 0; j < format.ring_elements; ++j) {
    const std::vector<uint32_t> values =
        uniform_element(mask_key, static_cast<uint32_t>(format.first_element + j), set_.n, set_.q);
    products_.push_back(product(interpolated(values, psi, set_.q), residues, set_.q));
  }
}

size_t ReferenceRound::lanes(size_t chunk) const {
  const size_t left = format_.ring_elements - chunk * kElementsPerChunk;
  return left < kElementsPerChunk ? left : kElementsPerChunk;
}

size_t ReferenceRound::value_index(size_t chunk, uint32_t field, size_t c) const {
  return chunk * kElementsPerChunk * set_.n * format_.fold + field * set_.n * lanes(chunk) + c;
}

std::vector<uint8_t> ReferenceRound::ciphertext(const uint8_t error_key[32],
                                                const std::vector<int32_t>& values) const {
  std::vector<uint8_t> bytes;
  for (size_t chunk = 0; chunk * kElementsPerChunk < format_.ring_elements; ++chunk) {
    std::vector<uint32_t> wire(set_.n * lanes(chunk));
    for (size_t lane = 0; lane < lanes(chunk); ++lane) {
      const size_t element = chunk * kElementsPerChunk + lane;
      const std::vector<int32_t> errors =
          small_element(error_key, static_cast<uint32_t>(format_.first_element + element), set_.n);
      for (size_t i = 0; i < set_.n; ++i) {
        const size_t c = i * lanes(chunk) + lane;
        int64_t message = 0;
        for (uint32_t field = 0; field < format_.fold; ++field)
          if (value_index(chunk, field, c) < values.size())
            message +=
                int64_t{values[value_index(chunk, field, c)]} * (int64_t{1} << field * format_.field_bits);
        message &= (int64_t{1} << format_.plaintext_bits) - 1;
        const int64_t sum = int64_t{products_[element][i]} + errors[i] + set_.q +
                            encoded(static_cast<uint32_t>(message), format_.plaintext_bits, set_.q);
        wire[c] = switched(static_cast<uint32_t>(sum % set_.q), format_.wire_bits, set_.q);
      }
    }
    for (const uint32_t word : packed(wire, format_.wire_bits, lanes(chunk)))
      for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<uint8_t>(word >> shift));
  }
  return bytes;
}

ReferenceRound::Opened ReferenceRound::opened(const std::vector<uint8_t>& aggregate) const {
  const int64_t step = int64_t{1} << (format_.wire_bits - format_.plaintext_bits);
  Opened result = {std::vector<int32_t>(format_.value_count), 0, 0};
  size_t at = 0;
  for (size_t chunk = 0; chunk * kElementsPerChunk < format_.ring_elements; ++chunk) {
    std::vector<uint32_t> words(set_.n * lanes(chunk) / 32 * format_.wire_bits, 0);
    for (uint32_t& word : words)
      for (int shift = 0; shift < 32; shift += 8) word |= static_cast<uint32_t>(aggregate[at++]) << shift;
    const std::vector<uint32_t> wire = unpacked(words, format_.wire_bits, lanes(chunk));
    for (size_t c = 0; c < wire.size(); ++c) {
      const std::vector<uint32_t>& mask = products_[chunk * kElementsPerChunk + c % lanes(chunk)];
      const int64_t difference = centred(
          int64_t{wire[c]} - switched(mask[c / lanes(chunk)], format_.wire_bits, set_.q), format_.wire_bits);
      int64_t message = floor_divided(difference + step / 2, step);
      const int64_t residual = difference - message * step;
      result.sum_of_squares += static_cast<uint64_t>(residual * residual);
      if (std::llabs(residual) > result.largest_residual)
        result.largest_residual = static_cast<uint32_t>(std::llabs(residual));
      message = centred(message, format_.plaintext_bits);
      for (uint32_t field = 0; field < format_.fold; ++field) {
        const int64_t value = centred(message, format_.field_bits);
        if (value_index(chunk, field, c) < result.values.size())
          result.values[value_index(chunk, field, c)] = static_cast<int32_t>(value);
        message = (message - value) / (int64_t{1} << format_.field_bits);
      }
    }
  }
  return result;
}

}  // namespace conformance
}  // namespace tensorguard
