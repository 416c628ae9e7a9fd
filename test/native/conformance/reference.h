// docs/protocol.md once more, as short and as slow as it can be written: what the scalar kernels, which every
// other instruction set is compared with, are themselves checked against. Nothing here uses code of
// native/core.
#ifndef TENSORGUARD_TEST_CONFORMANCE_REFERENCE_H_
#define TENSORGUARD_TEST_CONFORMANCE_REFERENCE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tensorguard {
namespace conformance {

// base^exponent mod q.
uint32_t power_mod(uint32_t base, uint64_t exponent, uint32_t q);

// Section 1: the smallest x with x^n = -1 mod q.
uint32_t smallest_root(uint32_t n, uint32_t q);

uint32_t reversed_bits(uint32_t value, uint32_t bits);

// Section 1: A[i] = a(psi^(2 brv(i) + 1)), by evaluating a at each point.
std::vector<uint32_t> evaluated(const std::vector<uint32_t>& a, uint32_t psi, uint32_t q);

// The polynomial with these values, by the inverse sum.
std::vector<uint32_t> interpolated(const std::vector<uint32_t>& values, uint32_t psi, uint32_t q);

// a * b mod X^n + 1, by the schoolbook.
std::vector<uint32_t> product(const std::vector<uint32_t>& a, const std::vector<uint32_t>& b, uint32_t q);

// Section 5: round(q m / 2^p), half up, and round(c 2^k / q), not yet taken mod 2^k.
uint32_t encoded(uint32_t message, uint32_t plaintext_bits, uint32_t q);
uint32_t switched(uint32_t c, uint32_t wire_bits, uint32_t q);

// Section 5: bit `bit` of coefficient i of a lane lies in this bit of the chunk's packed words.
struct BitPosition {
  size_t word;
  uint32_t bit;
};
BitPosition packed_position(size_t i, size_t lane, uint32_t bit, uint32_t wire_bits, size_t lanes);

// A chunk: coefficients in order i * lanes + lane, of which the low k bits count.
std::vector<uint32_t> packed(const std::vector<uint32_t>& coefficients, uint32_t wire_bits, size_t lanes);
std::vector<uint32_t> unpacked(const std::vector<uint32_t>& words, uint32_t wire_bits, size_t lanes);

// RFC 8439 section 2.3: one block, as words; key and nonce as bytes.
std::vector<uint32_t> chacha20(const uint8_t key[32], uint32_t counter, const uint8_t nonce[12]);

// Section 2: a ring element's stream, uniform mod q or small (centred).
std::vector<uint32_t> stream_words(const uint8_t key[32], uint32_t element, size_t count);
std::vector<uint32_t> uniform_element(const uint8_t key[32], uint32_t element, uint32_t n, uint32_t q);
std::vector<int32_t> small_element(const uint8_t key[32], uint32_t element, uint32_t n);

}  // namespace conformance
}  // namespace tensorguard

#endif  // TENSORGUARD_TEST_CONFORMANCE_REFERENCE_H_
