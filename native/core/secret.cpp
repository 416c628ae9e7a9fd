#include "secret.h"

#include <cstring>

#include "chacha20.h"
#include "constant_time.h"
#include "hkdf.h"
#include "secure_memory.h"

namespace tensorguard {
namespace {

// TUniform(2) four times over, as in kernels/sampling.h, from 16 bits: the coefficient plus 16.
uint32_t small_plus_16(uint32_t random) {
  uint32_t sum = 0;
  for (int nibble = 0; nibble < 4; ++nibble) sum += (((random >> (4 * nibble)) & 15) + 1) >> 1;
  return sum;
}

class Stream {
 public:
  Stream(const uint8_t* key_material, size_t size, const char* purpose, uint32_t parameter_set,
         const uint8_t plan_fingerprint[32]) {
    SecretArray<uint8_t, kKeyBytes> key;
    stream_key(key_material, size, purpose, parameter_set, plan_fingerprint, key.data);
    load_key(key.data, key_.data);
  }
  void block(uint32_t counter, uint32_t words[kBlockWords]) { chacha20_block(key_.data, counter, 0, words); }

 private:
  SecretArray<uint32_t, 8> key_;
};

}  // namespace

void expand_secret(const RingTables& ring, uint32_t parameter_set, const uint8_t plan_fingerprint[32],
                   const uint8_t seed[32], uint32_t* residues) {
  Stream stream(seed, kKeyBytes, "secret", parameter_set, plan_fingerprint);
  SecretArray<uint32_t, kBlockWords> words;
  for (uint32_t counter = 0; counter < ring.n / 2 / kBlockWords; ++counter) {
    stream.block(counter, words.data);
    for (uint32_t i = 0; i < kBlockWords; ++i) {
      const uint32_t w = counter * kBlockWords + i;
      // -16..16 as a residue: q - 16 is added and one q taken off again.
      residues[w] = reduce_once(small_plus_16(words.data[i] & 0xffff) + ring.q - 16, ring.q);
      residues[w + ring.n / 2] = reduce_once(small_plus_16(words.data[i] >> 16) + ring.q - 16, ring.q);
    }
  }
}

void expand_share(const RingTables& ring, uint32_t parameter_set, const uint8_t plan_fingerprint[32],
                  const uint8_t seed[32], uint32_t* residues) {
  Stream stream(seed, kKeyBytes, "share expansion", parameter_set, plan_fingerprint);
  SecretArray<uint32_t, kBlockWords> words;
  const uint32_t mask = (1u << ring.q_bits) - 1;
  uint32_t kept = 0;
  for (uint32_t counter = 0; kept < ring.n; ++counter) {
    stream.block(counter, words.data);
    for (uint32_t i = 0; i < kBlockWords && kept < ring.n; ++i) {
      const uint32_t word = words.data[i] & mask;
      residues[kept] = word;
      // 1 where the word is below q; the decision, not the word, is public.
      uint32_t accepted = static_cast<uint32_t>((static_cast<uint64_t>(word) - ring.q) >> 63);
      TENSORGUARD_PUBLIC(&accepted, sizeof accepted);
      kept += accepted;
    }
  }
}

void prepare_factor(const RingTables& ring, uint32_t parameter_set, const KernelTable& kernels,
                    const uint32_t* polynomial, Twiddle* factor) {
  SecretBuffer<uint32_t> transformed(ring.n);
  std::memcpy(transformed.data(), polynomial, ring.n * sizeof(uint32_t));
  kernels.forward(parameter_set, transformed.data());
  const uint32_t n_inverse_shoup = shoup_companion(ring.n_inverse, ring);
  for (uint32_t i = 0; i < ring.n; ++i) {
    const uint32_t scaled = multiply_shoup(transformed[i], ring.n_inverse, n_inverse_shoup, ring.q);
    factor[i] = Twiddle{scaled, shoup_companion(scaled, ring)};
  }
}

size_t packed_residue_bytes(const RingTables& ring) { return ring.n / 8 * ring.q_bits; }

void pack_residues(const RingTables& ring, const uint32_t* residues, uint8_t* packed) {
  uint64_t bits = 0;
  uint32_t held = 0;
  size_t at = 0;
  for (uint32_t i = 0; i < ring.n; ++i) {
    bits |= static_cast<uint64_t>(residues[i]) << held;
    for (held += ring.q_bits; held >= 8; held -= 8, bits >>= 8) packed[at++] = static_cast<uint8_t>(bits);
  }
}

bool unpack_residues(const RingTables& ring, const uint8_t* packed, uint32_t* residues) {
  const uint32_t mask = (1u << ring.q_bits) - 1;
  uint64_t bits = 0;
  uint32_t held = 0;
  size_t at = 0;
  uint32_t out_of_range = 0;
  for (uint32_t i = 0; i < ring.n; ++i) {
    for (; held < ring.q_bits; held += 8) bits |= static_cast<uint64_t>(packed[at++]) << held;
    residues[i] = static_cast<uint32_t>(bits) & mask;
    bits >>= ring.q_bits;
    held -= ring.q_bits;
    out_of_range |= 1 - static_cast<uint32_t>((static_cast<uint64_t>(residues[i]) - ring.q) >> 63);
  }
  TENSORGUARD_PUBLIC(&out_of_range, sizeof out_of_range);
  return out_of_range == 0;
}

}  // namespace tensorguard
