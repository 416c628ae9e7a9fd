#include "encryption_case.h"

#include <cstring>
#include <utility>

#include "core/shamir.h"

namespace tensorguard {
namespace conformance {

WireFormat wire_format(const ParameterSet& set, uint32_t wire_bits, uint32_t fold, uint32_t field_bits,
                       size_t ring_elements, size_t missing) {
  return {set.id,       wire_bits, fold * field_bits,
          field_bits,   fold,      ring_elements * set.n * fold - missing,
          ring_elements};
}

WireFormat random_fold(Random& random, const ParameterSet& set, uint32_t wire_bits, size_t ring_elements,
                       size_t missing) {
  const uint32_t room = wire_bits - 1;
  const uint32_t fold = random.one_in(3) ? 1 : random.between(1, room / 2);
  const uint32_t field_bits = random.one_in(3) ? room / fold : random.between(2, room / fold);
  return wire_format(set, wire_bits, fold, field_bits, ring_elements, missing % (fold * set.n));
}

std::string described(const WireFormat& format) {
  return std::string(kParameterSets[format.parameter_set].name) + ", k " + std::to_string(format.wire_bits) +
         ", " + std::to_string(format.fold) + " fields of " + std::to_string(format.field_bits) + ", " +
         std::to_string(format.value_count) + " values in " + std::to_string(format.ring_elements) +
         " elements";
}

EncryptionCase::EncryptionCase(Random& random, const WireFormat& wanted, Values kind)
    : format(wanted), value_bound(UINT32_MAX), values(wanted.value_count) {
  random.fill(mask_key, sizeof mask_key);
  random.fill(plan_fingerprint, sizeof plan_fingerprint);
  random.fill(hedge, sizeof hedge);
  custodians = random.between(1, 4);
  threshold = random.between(1, custodians);
  const uint32_t largest = (1u << (format.field_bits - 1)) - 1;
  for (int32_t& value : values) {
    if (kind == Values::kFields) {
      value = static_cast<int32_t>(random.below(2 * largest + 1)) - static_cast<int32_t>(largest);
    } else if (kind == Values::kExtremes) {
      value = random.one_in(2) ? static_cast<int32_t>(largest) : -static_cast<int32_t>(largest);
    } else {
      value = static_cast<int32_t>(random.one_in(1000) ? 0x80000000u : random.word());
    }
  }
}

Encrypted encrypted(const KernelTable& table, const EncryptionCase& input, size_t threads) {
  std::vector<Buffer<uint8_t>> shares;
  std::vector<uint8_t*> pointers;
  for (uint32_t index = 1; index <= input.custodians; ++index)
    shares.emplace_back(share_bytes(*ring_tables(input.format.parameter_set), input.threshold, index));
  for (Buffer<uint8_t>& share : shares) pointers.push_back(share.data());
  const Buffer<int32_t> values(input.values);
  Buffer<uint8_t> ciphertext(ciphertext_bytes(input.format));

  Encryption encryption;
  encryption.segments = {{input.format, input.value_bound}};
  std::memcpy(encryption.mask_key, input.mask_key, sizeof encryption.mask_key);
  std::memcpy(encryption.plan_fingerprint, input.plan_fingerprint, sizeof encryption.plan_fingerprint);
  encryption.threshold = input.threshold;
  encryption.custodians = input.custodians;
  encryption.values = values.data();
  encryption.ciphertext = ciphertext.data();
  encryption.shares = pointers.data();
  encryption.threads = threads;
  const uint32_t largest = encrypt(table, encryption, input.hedge).largest;
  return {std::move(shares), std::move(ciphertext), largest};
}

Opened opened(const KernelTable& table, const WireFormat& format, const uint8_t mask_key[32],
              const std::vector<int32_t>& secret_sum, const std::vector<uint8_t>& aggregate, size_t threads) {
  const Buffer<uint8_t> packed(aggregate);
  Buffer<int32_t> values(format.value_count);
  Opening opening;
  opening.format = format;
  std::memcpy(opening.mask_key, mask_key, sizeof opening.mask_key);
  opening.secret_sum = secret_sum.data();
  opening.aggregate = packed.data();
  opening.values = values.data();
  opening.threads = threads;
  const ResidualStatistics residuals = open(table, opening);
  return {std::move(values), residuals};
}

}  // namespace conformance
}  // namespace tensorguard
