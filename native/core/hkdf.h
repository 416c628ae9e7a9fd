// SHA-256 (FIPS 180-4) and HKDF (RFC 5869), for keys that are derived where they are used and never enter
// JavaScript. Nothing branches on, or indexes by, the data.
#ifndef TENSORGUARD_CORE_HKDF_H_
#define TENSORGUARD_CORE_HKDF_H_

#include <cstddef>
#include <cstdint>

namespace tensorguard {

constexpr size_t kHashBytes = 32;
constexpr size_t kKeyBytes = 32;

void sha256(const uint8_t* data, size_t size, uint8_t digest[kHashBytes]);

// HKDF-SHA256 with an empty salt; length at most 255 * 32 bytes.
void hkdf(const uint8_t* key_material, size_t key_material_size, const uint8_t* info, size_t info_size,
          uint8_t* out, size_t length);

// The key of one stream (docs/protocol.md section 2): the label names purpose, parameter set and plan.
void stream_key(const uint8_t* key_material, size_t key_material_size, const char* purpose,
                uint32_t parameter_set, const uint8_t plan_fingerprint[32], uint8_t key[kKeyBytes]);

}  // namespace tensorguard

#endif  // TENSORGUARD_CORE_HKDF_H_
