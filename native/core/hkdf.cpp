#include "hkdf.h"

#include <cstring>

#include "ring.h"
#include "secure_memory.h"

namespace tensorguard {
namespace {

constexpr uint32_t kRoundConstants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

constexpr size_t kBlockBytes = 64;

uint32_t rotate_right(uint32_t value, int count) { return (value >> count) | (value << (32 - count)); }

class Sha256 {
 public:
  ~Sha256() {
    wipe(state_, sizeof state_);
    wipe(block_, sizeof block_);
  }

  void update(const uint8_t* data, size_t size) {
    for (size_t i = 0; i < size; ++i) {
      block_[size_ % kBlockBytes] = data[i];
      if (++size_ % kBlockBytes == 0) compress();
    }
  }

  void finish(uint8_t digest[kHashBytes]) {
    const uint64_t bits = size_ * 8;
    const uint8_t end = 0x80;
    const uint8_t zero = 0;
    update(&end, 1);
    while (size_ % kBlockBytes != kBlockBytes - 8) update(&zero, 1);
    uint8_t length[8];
    for (int i = 0; i < 8; ++i) length[i] = static_cast<uint8_t>(bits >> (56 - 8 * i));
    update(length, sizeof length);
    for (int i = 0; i < 8; ++i)
      for (int j = 0; j < 4; ++j) digest[4 * i + j] = static_cast<uint8_t>(state_[i] >> (24 - 8 * j));
  }

 private:
  void compress() {
    SecretArray<uint32_t, 64> schedule;
    uint32_t* w = schedule.data;
    for (int i = 0; i < 16; ++i)
      w[i] = static_cast<uint32_t>(block_[4 * i]) << 24 | static_cast<uint32_t>(block_[4 * i + 1]) << 16 |
             static_cast<uint32_t>(block_[4 * i + 2]) << 8 | block_[4 * i + 3];
    for (int i = 16; i < 64; ++i) {
      const uint32_t s0 = rotate_right(w[i - 15], 7) ^ rotate_right(w[i - 15], 18) ^ (w[i - 15] >> 3);
      const uint32_t s1 = rotate_right(w[i - 2], 17) ^ rotate_right(w[i - 2], 19) ^ (w[i - 2] >> 10);
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    uint32_t a = state_[0], b = state_[1], c = state_[2], d = state_[3];
    uint32_t e = state_[4], f = state_[5], g = state_[6], h = state_[7];
    for (int i = 0; i < 64; ++i) {
      const uint32_t s1 = rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25);
      const uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + kRoundConstants[i] + w[i];
      const uint32_t s0 = rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22);
      const uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
      h = g;
      g = f;
      f = e;
      e = d + t1;
      d = c;
      c = b;
      b = a;
      a = t1 + t2;
    }
    const uint32_t sum[8] = {a, b, c, d, e, f, g, h};
    for (int i = 0; i < 8; ++i) state_[i] += sum[i];
  }

  uint32_t state_[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  uint8_t block_[kBlockBytes] = {};
  uint64_t size_ = 0;
};

// HMAC (RFC 2104) with a 32-byte key.
class HmacSha256 {
 public:
  explicit HmacSha256(const uint8_t key[kHashBytes]) {
    SecretArray<uint8_t, kBlockBytes> padded;
    for (size_t i = 0; i < kBlockBytes; ++i) padded.data[i] = (i < kHashBytes ? key[i] : 0) ^ 0x36;
    inner_.update(padded.data, kBlockBytes);
    for (size_t i = 0; i < kBlockBytes; ++i) padded.data[i] ^= 0x36 ^ 0x5c;
    outer_.update(padded.data, kBlockBytes);
  }
  void update(const uint8_t* data, size_t size) { inner_.update(data, size); }
  void finish(uint8_t tag[kHashBytes]) {
    SecretArray<uint8_t, kHashBytes> digest;
    inner_.finish(digest.data);
    outer_.update(digest.data, kHashBytes);
    outer_.finish(tag);
  }

 private:
  Sha256 inner_;
  Sha256 outer_;
};

}  // namespace

void sha256(const uint8_t* data, size_t size, uint8_t digest[kHashBytes]) {
  Sha256 hash;
  hash.update(data, size);
  hash.finish(digest);
}

void hkdf(const uint8_t* key_material, size_t key_material_size, const uint8_t* info, size_t info_size,
          uint8_t* out, size_t length) {
  const uint8_t empty_salt[kHashBytes] = {};
  SecretArray<uint8_t, kHashBytes> pseudorandom_key;
  HmacSha256 extract(empty_salt);
  extract.update(key_material, key_material_size);
  extract.finish(pseudorandom_key.data);

  SecretArray<uint8_t, kHashBytes> block;
  uint8_t counter = 1;
  for (size_t done = 0; done < length; ++counter) {
    HmacSha256 expand(pseudorandom_key.data);
    if (done != 0) expand.update(block.data, kHashBytes);
    expand.update(info, info_size);
    expand.update(&counter, 1);
    expand.finish(block.data);
    const size_t take = length - done < kHashBytes ? length - done : kHashBytes;
    std::memcpy(out + done, block.data, take);
    done += take;
  }
}

void stream_key(const uint8_t* key_material, size_t key_material_size, const char* purpose,
                uint32_t parameter_set, const uint8_t plan_fingerprint[32], uint8_t key[kKeyBytes]) {
  // label || 0 || purpose || 0 || parameter set || 0 || fingerprint; the strings hold no zero byte.
  uint8_t info[128];
  size_t size = 0;
  const char* parts[3] = {"tensorguard-native v1", purpose,
                          parameter_set == Lwe192::kId ? "lwe-192" : "lwe-128"};
  for (const char* part : parts) {
    const size_t length = std::strlen(part) + 1;
    std::memcpy(info + size, part, length);
    size += length;
  }
  std::memcpy(info + size, plan_fingerprint, 32);
  hkdf(key_material, key_material_size, info, size + 32, key, kKeyBytes);
}

}  // namespace tensorguard
