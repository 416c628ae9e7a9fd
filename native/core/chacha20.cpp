#include "chacha20.h"

#include "secure_memory.h"

namespace tensorguard {
void load_key(const uint8_t bytes[32], uint32_t key[8]) {
  for (int i = 0; i < 8; ++i)
    key[i] = static_cast<uint32_t>(bytes[4 * i]) | static_cast<uint32_t>(bytes[4 * i + 1]) << 8 |
             static_cast<uint32_t>(bytes[4 * i + 2]) << 16 | static_cast<uint32_t>(bytes[4 * i + 3]) << 24;
}

void chacha20_block(const uint32_t key[8], uint32_t counter, uint32_t element, uint32_t out[kBlockWords]) {
  SecretArray<uint32_t, kBlockWords> initial;
  uint32_t* state = initial.data;
  for (int i = 0; i < 4; ++i) state[i] = kChaChaConstants[i];
  for (int i = 0; i < 8; ++i) state[4 + i] = key[i];
  state[12] = counter;
  state[13] = element;
  uint32_t* x = out;
  for (size_t i = 0; i < kBlockWords; ++i) x[i] = state[i];
  for (int round = 0; round < 10; ++round) {
    quarter_round(x[0], x[4], x[8], x[12]);
    quarter_round(x[1], x[5], x[9], x[13]);
    quarter_round(x[2], x[6], x[10], x[14]);
    quarter_round(x[3], x[7], x[11], x[15]);
    quarter_round(x[0], x[5], x[10], x[15]);
    quarter_round(x[1], x[6], x[11], x[12]);
    quarter_round(x[2], x[7], x[8], x[13]);
    quarter_round(x[3], x[4], x[9], x[14]);
  }
  for (size_t i = 0; i < kBlockWords; ++i) x[i] += state[i];
}

}  // namespace tensorguard
