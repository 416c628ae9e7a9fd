// One ChaCha20 block at a time (RFC 8439 section 2.3), for streams of a single ring element: secrets, share
// seeds, and the few words a rejection still needs. Bulk streams use kernels/chacha20.h.
#ifndef TENSORGUARD_CORE_CHACHA20_H_
#define TENSORGUARD_CORE_CHACHA20_H_

#include <cstddef>
#include <cstdint>

namespace tensorguard {

constexpr size_t kBlockWords = 16;

// "expand 32-byte k"
constexpr uint32_t kChaChaConstants[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};

inline uint32_t rotate_left(uint32_t x, int count) { return (x << count) | (x >> (32 - count)); }

// RFC 8439 section 2.1.
inline void quarter_round(uint32_t& a, uint32_t& b, uint32_t& c, uint32_t& d) {
  a += b;
  d = rotate_left(d ^ a, 16);
  c += d;
  b = rotate_left(b ^ c, 12);
  a += b;
  d = rotate_left(d ^ a, 8);
  c += d;
  b = rotate_left(b ^ c, 7);
}

// The 32-byte key as eight little-endian words.
void load_key(const uint8_t bytes[32], uint32_t key[8]);

// Keystream words 16 * counter ... 16 * counter + 15 of the stream of ring element `element`.
void chacha20_block(const uint32_t key[8], uint32_t counter, uint32_t element, uint32_t out[kBlockWords]);

}  // namespace tensorguard

#endif  // TENSORGUARD_CORE_CHACHA20_H_
