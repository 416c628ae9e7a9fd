#include "reference.h"

namespace tensorguard {
namespace conformance {
namespace {

using Wide = unsigned __int128;

// psi^0 ... psi^(2n - 1), after which they repeat.
std::vector<uint32_t> powers(uint32_t psi, size_t n, uint32_t q) {
  std::vector<uint32_t> out(2 * n);
  uint64_t power = 1;
  for (uint32_t& value : out) {
    value = static_cast<uint32_t>(power);
    power = power * psi % q;
  }
  return out;
}

uint32_t log2_of(size_t power_of_two) {
  uint32_t bits = 0;
  while ((size_t{1} << bits) < power_of_two) ++bits;
  return bits;
}

uint32_t bits_of(uint32_t value) {
  uint32_t bits = 0;
  while (bits < 32 && (value >> bits) != 0) ++bits;
  return bits;
}

uint32_t rotated(uint32_t x, int count) { return (x << count) | (x >> (32 - count)); }

void quarter_round(std::vector<uint32_t>& x, int a, int b, int c, int d) {
  const int places[4][3] = {{a, b, d}, {c, d, b}, {a, b, d}, {c, d, b}};
  const int counts[4] = {16, 12, 8, 7};
  for (int step = 0; step < 4; ++step) {
    const int* place = places[step];
    x[place[0]] += x[place[1]];
    x[place[2]] = rotated(x[place[2]] ^ x[place[0]], counts[step]);
  }
}

uint32_t little_endian(const uint8_t* bytes) {
  return bytes[0] | bytes[1] << 8 | bytes[2] << 16 | static_cast<uint32_t>(bytes[3]) << 24;
}

}  // namespace

uint32_t power_mod(uint32_t base, uint64_t exponent, uint32_t q) {
  uint64_t result = 1;
  for (int bit = 63; bit >= 0; --bit) {
    result = result * result % q;
    if ((exponent >> bit) & 1) result = result * base % q;
  }
  return static_cast<uint32_t>(result);
}

uint32_t smallest_root(uint32_t n, uint32_t q) {
  for (uint32_t x = 2;; ++x) {
    uint64_t power = x;  // n is a power of two
    for (uint32_t i = 1; i < n; i *= 2) power = power * power % q;
    if (power == q - 1) return x;
  }
}

uint32_t reversed_bits(uint32_t value, uint32_t bits) {
  uint32_t out = 0;
  for (; bits != 0; --bits, value >>= 1) out = out << 1 | (value & 1);
  return out;
}

std::vector<uint32_t> evaluated(const std::vector<uint32_t>& a, uint32_t psi, uint32_t q) {
  const size_t n = a.size();
  const std::vector<uint32_t> psi_to = powers(psi, n, q);
  std::vector<uint32_t> out(n);
  for (size_t i = 0; i < n; ++i) {
    const size_t exponent = 2 * reversed_bits(static_cast<uint32_t>(i), log2_of(n)) + 1;
    Wide sum = 0;
    for (size_t j = 0; j < n; ++j) sum += static_cast<uint64_t>(a[j]) * psi_to[exponent * j & (2 * n - 1)];
    out[i] = static_cast<uint32_t>(sum % q);
  }
  return out;
}

std::vector<uint32_t> interpolated(const std::vector<uint32_t>& values, uint32_t psi, uint32_t q) {
  const size_t n = values.size();
  const std::vector<uint32_t> psi_to = powers(psi, n, q);
  const uint64_t n_inverse = power_mod(static_cast<uint32_t>(n), q - 2, q);
  std::vector<size_t> exponents(n);
  for (size_t i = 0; i < n; ++i) exponents[i] = 2 * reversed_bits(static_cast<uint32_t>(i), log2_of(n)) + 1;
  std::vector<uint32_t> out(n);
  for (size_t j = 0; j < n; ++j) {
    Wide sum = 0;
    for (size_t i = 0; i < n; ++i)
      sum += static_cast<uint64_t>(values[i]) * psi_to[(2 * n - exponents[i]) * j & (2 * n - 1)];
    out[j] = static_cast<uint32_t>(static_cast<uint64_t>(sum % q) * n_inverse % q);
  }
  return out;
}

std::vector<uint32_t> product(const std::vector<uint32_t>& a, const std::vector<uint32_t>& b, uint32_t q) {
  const size_t n = a.size();
  std::vector<uint32_t> out(n);
  for (size_t k = 0; k < n; ++k) {
    // X^n = -1: what wraps around counts negatively.
    Wide positive = 0;
    Wide negative = 0;
    for (size_t i = 0; i <= k; ++i) positive += static_cast<uint64_t>(a[i]) * b[k - i];
    for (size_t i = k + 1; i < n; ++i) negative += static_cast<uint64_t>(a[i]) * b[n + k - i];
    out[k] = static_cast<uint32_t>(
        (static_cast<uint64_t>(positive % q) + q - static_cast<uint64_t>(negative % q)) % q);
  }
  return out;
}

uint32_t encoded(uint32_t message, uint32_t plaintext_bits, uint32_t q) {
  const Wide numerator = static_cast<Wide>(q) * message * 2 + (Wide{1} << plaintext_bits);
  return static_cast<uint32_t>(numerator / (Wide{2} << plaintext_bits));
}

uint32_t switched(uint32_t c, uint32_t wire_bits, uint32_t q) {
  return static_cast<uint32_t>(((static_cast<Wide>(c) << wire_bits) + (q - 1) / 2) / q);
}

BitPosition packed_position(size_t i, size_t lane, uint32_t bit, uint32_t wire_bits, size_t lanes) {
  const size_t run = i / 32;
  const size_t stream_bit = i % 32 * wire_bits + bit;
  return {(run * wire_bits + stream_bit / 32) * lanes + lane, static_cast<uint32_t>(stream_bit % 32)};
}

std::vector<uint32_t> packed(const std::vector<uint32_t>& coefficients, uint32_t wire_bits, size_t lanes) {
  std::vector<uint32_t> words(coefficients.size() / 32 * wire_bits, 0);
  for (size_t c = 0; c < coefficients.size(); ++c)
    for (uint32_t bit = 0; bit < wire_bits; ++bit) {
      const BitPosition to = packed_position(c / lanes, c % lanes, bit, wire_bits, lanes);
      words[to.word] |= ((coefficients[c] >> bit) & 1) << to.bit;
    }
  return words;
}

std::vector<uint32_t> unpacked(const std::vector<uint32_t>& words, uint32_t wire_bits, size_t lanes) {
  std::vector<uint32_t> coefficients(words.size() / wire_bits * 32, 0);
  for (size_t c = 0; c < coefficients.size(); ++c)
    for (uint32_t bit = 0; bit < wire_bits; ++bit) {
      const BitPosition from = packed_position(c / lanes, c % lanes, bit, wire_bits, lanes);
      coefficients[c] |= ((words[from.word] >> from.bit) & 1) << bit;
    }
  return coefficients;
}

std::vector<uint32_t> chacha20(const uint8_t key[32], uint32_t counter, const uint8_t nonce[12]) {
  std::vector<uint32_t> initial;
  const char* constant = "expand 32-byte k";
  for (int i = 0; i < 4; ++i)
    initial.push_back(little_endian(reinterpret_cast<const uint8_t*>(constant) + 4 * i));
  for (int i = 0; i < 8; ++i) initial.push_back(little_endian(key + 4 * i));
  initial.push_back(counter);
  for (int i = 0; i < 3; ++i) initial.push_back(little_endian(nonce + 4 * i));
  std::vector<uint32_t> x = initial;
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 4; ++i) quarter_round(x, i, 4 + i, 8 + i, 12 + i);
    for (int i = 0; i < 4; ++i) quarter_round(x, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4);
  }
  for (size_t i = 0; i < x.size(); ++i) x[i] += initial[i];
  return x;
}

std::vector<uint32_t> stream_words(const uint8_t key[32], uint32_t element, size_t count) {
  const uint8_t nonce[12] = {static_cast<uint8_t>(element), static_cast<uint8_t>(element >> 8),
                             static_cast<uint8_t>(element >> 16), static_cast<uint8_t>(element >> 24)};
  std::vector<uint32_t> words;
  for (uint32_t counter = 0; words.size() < count; ++counter)
    for (const uint32_t word : chacha20(key, counter, nonce)) words.push_back(word);
  words.resize(count);
  return words;
}

std::vector<uint32_t> uniform_element(const uint8_t key[32], uint32_t element, uint32_t n, uint32_t q) {
  std::vector<uint32_t> kept;
  // A word is rejected with probability 6e-5 at most: sixteen spare blocks are never all needed.
  for (const uint32_t word : stream_words(key, element, n + 256)) {
    const uint32_t masked = word & ((1u << bits_of(q)) - 1);
    if (masked < q && kept.size() < n) kept.push_back(masked);
  }
  return kept;
}

std::vector<int32_t> small_element(const uint8_t key[32], uint32_t element, uint32_t n) {
  const std::vector<uint32_t> words = stream_words(key, element, n / 2);
  std::vector<int32_t> out(n);
  for (size_t i = 0; i < n; ++i) {
    uint32_t half = i < n / 2 ? words[i] & 0xffff : words[i - n / 2] >> 16;
    out[i] = -16;
    for (; half != 0; half >>= 4) out[i] += static_cast<int32_t>(((half & 15) + 1) / 2);
  }
  return out;
}

}  // namespace conformance
}  // namespace tensorguard
