// Published vectors of the primitives that keys and streams are made of.

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "checks.h"
#include "core/chacha20.h"
#include "core/hkdf.h"
#include "random.h"
#include "reference.h"

namespace tensorguard {
namespace conformance {
namespace {

std::string hex(const uint8_t* bytes, size_t size) {
  std::string out;
  for (size_t i = 0; i < size; ++i) {
    out += "0123456789abcdef"[bytes[i] >> 4];
    out += "0123456789abcdef"[bytes[i] & 15];
  }
  return out;
}

std::string hex_words(const uint32_t* words, size_t count) {
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i < count; ++i)
    for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<uint8_t>(words[i] >> shift));
  return hex(bytes.data(), bytes.size());
}

std::vector<uint8_t> counting(size_t size, uint32_t first) {
  std::vector<uint8_t> out(size);
  for (size_t i = 0; i < size; ++i) out[i] = static_cast<uint8_t>(first + i);
  return out;
}

void check_chacha20(const Run& run) {
  run.report.group("scalar", "ChaCha20, published vectors");
  // RFC 8439 section 2.3.2 has a nonce that no ring element gives: it vouches for the reference, and the
  // reference for the rest.
  const uint8_t nonce[12] = {0, 0, 0, 9, 0, 0, 0, 0x4a, 0, 0, 0, 0};
  const std::vector<uint8_t> key = counting(32, 0);
  run.report.check(hex_words(chacha20(key.data(), 1, nonce).data(), kBlockWords) ==
                       "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
                       "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e",
                   "RFC 8439 section 2.3.2, by the reference");

  struct Vector {
    const char* source;
    uint8_t first_key_bytes[2];
    uint8_t last_key_byte;
    uint32_t counter;
    const char* block;
  };
  const Vector vectors[] = {{"RFC 8439 A.1, 1",
                             {0, 0},
                             0,
                             0,
                             "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
                             "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"},
                            {"RFC 8439 A.1, 2",
                             {0, 0},
                             0,
                             1,
                             "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
                             "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f"},
                            {"RFC 8439 A.1, 3",
                             {0, 0},
                             1,
                             1,
                             "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a"
                             "8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0"},
                            {"RFC 8439 A.1, 4",
                             {0, 0xff},
                             0,
                             2,
                             "72d54dfbf12ec44b362692df94137f328fea8da73990265ec1bbbea1ae9af0ca"
                             "13b25aa26cb4a648cb9b9d1be65b2c0924a66c54d545ec1b7374f4872e99f096"}};
  for (const Vector& vector : vectors) {
    uint8_t bytes[32] = {vector.first_key_bytes[0], vector.first_key_bytes[1]};
    bytes[31] = vector.last_key_byte;
    uint32_t words[8];
    uint32_t block[kBlockWords];
    load_key(bytes, words);
    chacha20_block(words, vector.counter, 0, block);
    run.report.check(hex_words(block, kBlockWords) == vector.block, "%s", vector.source);
  }

  Random random(run.seed, "chacha20");
  for (size_t i = 0; i < run.cases(8, 64); ++i) {
    uint8_t bytes[32];
    random.fill(bytes, sizeof bytes);
    const uint32_t counter = i == 0 ? UINT32_MAX : random.word();
    const uint32_t element = random.word();
    const uint8_t element_nonce[12] = {static_cast<uint8_t>(element), static_cast<uint8_t>(element >> 8),
                                       static_cast<uint8_t>(element >> 16),
                                       static_cast<uint8_t>(element >> 24)};
    uint32_t words[8];
    load_key(bytes, words);
    Buffer<uint32_t> block(kBlockWords);
    chacha20_block(words, counter, element, block.data());
    run.report.equal(block, chacha20(bytes, counter, element_nonce), "counter %u, element %u", counter,
                     element);
  }
}

void check_sha256(const Run& run) {
  run.report.group("scalar", "SHA-256, published vectors");
  const std::pair<std::string, const char*> vectors[] = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      // FIPS 180-2 appendix B.2: the length no longer fits into the first block.
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      // By OpenSSL.
      {std::string(1000, 'a'), "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3"}};
  for (const auto& [message, expected] : vectors) {
    uint8_t digest[kHashBytes];
    sha256(reinterpret_cast<const uint8_t*>(message.data()), message.size(), digest);
    run.report.check(hex(digest, sizeof digest) == expected, "a message of %zu bytes", message.size());
  }
}

void check_hkdf(const Run& run) {
  run.report.group("scalar", "HKDF-SHA256, published vectors");
  // Of RFC 5869's vectors this one alone has the empty salt that the protocol uses.
  const std::vector<uint8_t> material(22, 0x0b);
  uint8_t key[82];
  hkdf(material.data(), material.size(), nullptr, 0, key, 42);
  run.report.check(hex(key, 42) ==
                       "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
                       "9d201395faa4b61a96c8",
                   "RFC 5869 A.3");
  // The inputs of A.2 without their salt, by OpenSSL: several blocks, and an info.
  const std::vector<uint8_t> long_material = counting(80, 0);
  const std::vector<uint8_t> info = counting(80, 0xb0);
  hkdf(long_material.data(), long_material.size(), info.data(), info.size(), key, sizeof key);
  run.report.check(hex(key, sizeof key) ==
                       "bdeaae544c019348d911435a228f8a7f6eba81db6892a2be5560274060c70a75"
                       "ebd4c875b737c678a1fe60c8cd40b334e5c0b5b0500d6b78ed90fb08388f5a7b"
                       "22ed5dc466cac7b0bec32bf3eb1681d01524",
                   "RFC 5869 A.2 without a salt");

  // docs/protocol.md section 2: the label of a stream.
  for (uint32_t set = 0; set < 2; ++set) {
    const std::vector<uint8_t> fingerprint = counting(32, 0x40);
    std::string label = std::string("tensorguard-native v1") + '\0' + "public mask" + '\0' +
                        (set == 0 ? "lwe-192" : "lwe-128") + '\0';
    label.append(reinterpret_cast<const char*>(fingerprint.data()), fingerprint.size());
    uint8_t expected[kKeyBytes];
    uint8_t got[kKeyBytes];
    hkdf(material.data(), material.size(), reinterpret_cast<const uint8_t*>(label.data()), label.size(),
         expected, sizeof expected);
    stream_key(material.data(), material.size(), "public mask", set, fingerprint.data(), got);
    run.report.check(std::memcmp(got, expected, sizeof got) == 0, "a stream's key, set %u", set);
  }
}

}  // namespace

void check_known_answers(const Run& run) {
  check_chacha20(run);
  check_sha256(run);
  check_hkdf(run);
}

}  // namespace conformance
}  // namespace tensorguard
