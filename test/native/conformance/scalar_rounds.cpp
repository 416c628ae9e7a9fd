// Whole scalar encryptions and openings against docs/protocol.md, coefficient by coefficient.

#include <string>
#include <vector>

#include "checks.h"
#include "core/dispatch.h"
#include "core/hkdf.h"
#include "encryption_case.h"
#include "parameter_sets.h"
#include "random.h"
#include "reference.h"
#include "reference_round.h"

namespace tensorguard {
namespace conformance {
namespace {

WireFormat from_element(WireFormat format, size_t first) {
  format.first_element = first;
  return format;
}

void check_case(const Run& run, const WireFormat& format, Values kind, Random& random) {
  const KernelTable& scalar = *supported_kernels().front();
  const uint32_t n = kParameterSets[format.parameter_set].n;
  const std::string name = described(format);
  const EncryptionCase input(random, format, kind);

  // docs/protocol.md section 2: hedge -> secret seed -> secret; hedge -> error.
  uint8_t seed[kKeyBytes];
  uint8_t secret_key[kKeyBytes];
  uint8_t error_key[kKeyBytes];
  stream_key(input.hedge, sizeof input.hedge, "secret seed", format.parameter_set, input.plan_fingerprint,
             seed);
  stream_key(seed, sizeof seed, "secret", format.parameter_set, input.plan_fingerprint, secret_key);
  stream_key(input.hedge, sizeof input.hedge, "error", format.parameter_set, input.plan_fingerprint,
             error_key);
  const std::vector<int32_t> secret = small_element(secret_key, 0, n);
  const ReferenceRound reference(format, input.mask_key, secret);

  const Encrypted got = encrypted(scalar, input, 1);
  run.report.equal(got.ciphertext, reference.ciphertext(error_key, input.values), "%s: ciphertext",
                   name.c_str());
  uint32_t largest = 0;
  for (const int32_t value : input.values) {
    const uint32_t absolute = value < 0 ? 0u - static_cast<uint32_t>(value) : static_cast<uint32_t>(value);
    if (absolute > largest) largest = absolute;
  }
  run.report.check(got.largest == largest, "%s: largest value %u instead of %u", name.c_str(), got.largest,
                   largest);

  // Once the ciphertext itself, and once bits that mean nothing.
  std::vector<uint8_t> aggregate = contents(got.ciphertext);
  for (int i = 0; i < 2; ++i) {
    const ReferenceRound::Opened expected = reference.opened(aggregate);
    const Opened opening = opened(scalar, format, input.mask_key, secret, aggregate, 1);
    run.report.equal(opening.values, expected.values, "%s: opened", name.c_str());
    run.report.check(opening.residuals.max_absolute == expected.largest_residual &&
                         opening.residuals.sum_of_squares == expected.sum_of_squares,
                     "%s: residuals", name.c_str());
    random.fill(aggregate.data(), aggregate.size());
  }
}

}  // namespace

void check_scalar_rounds(const Run& run) {
  run.report.group("scalar", "rounds against the protocol's text");
  Random random(run.seed, "scalar rounds");
  const ParameterSet& lwe192 = kParameterSets[0];
  const ParameterSet& lwe128 = kParameterSets[1];
  check_case(run, wire_format(lwe128, 17, 2, 6, 1, 700), Values::kFields, random);
  check_case(run, from_element(wire_format(lwe128, 5, 1, 2, 9, 1), 1003), Values::kAnything, random);
  if (run.quick) return;
  check_case(run, wire_format(lwe192, 17, 1, 12, 9, 0), Values::kFields, random);
  check_case(run, wire_format(lwe192, 28, 13, 2, 2, 20001), Values::kFields, random);
  for (int i = 0; i < 6; ++i) {
    const ParameterSet& set = kParameterSets[i % 2];
    const uint32_t bits = random.between(set.min_wire_bits, set.max_wire_bits);
    check_case(
        run,
        from_element(random_fold(random, set, bits, random.between(1, 4), random.word()), random.word() >> 8),
        i % 3 == 0 ? Values::kAnything : Values::kFields, random);
  }
}

}  // namespace conformance
}  // namespace tensorguard
