#include "engine.h"

#include <cstring>
#include <vector>

#include <sys/random.h>

#include "chacha20.h"
#include "chunk.h"
#include "constant_time.h"
#include "hkdf.h"
#include "parallel.h"
#include "secret.h"
#include "secure_memory.h"
#include "shamir.h"

namespace tensorguard {
namespace {

uint32_t ring_max_wire(uint32_t parameter_set) {
  return parameter_set == Lwe192::kId ? Lwe192::kMaxWire : Lwe128::kMaxWire;
}

// The secret of one update, from its making to its wiping.
class OneTimeSecret {
 public:
  OneTimeSecret(const KernelTable& kernels, const Encryption& encryption, const uint8_t hedge[kHedgeBytes])
      : ring_(*ring_tables(encryption.segments.front().format.parameter_set)), factor_(ring_.n) {
    const uint32_t set = encryption.segments.front().format.parameter_set;
    stream_key(hedge, kHedgeBytes, "secret seed", set, encryption.plan_fingerprint, seed_.data);
    SecretBuffer<uint32_t> residues(ring_.n);
    expand_secret(ring_, set, encryption.plan_fingerprint, seed_.data, residues.data());
    prepare_factor(ring_, set, kernels, residues.data(), factor_.data());
    deal_shares(ring_, set, encryption.plan_fingerprint, hedge, kHedgeBytes, seed_.data, encryption.threshold,
                encryption.custodians, encryption.shares);
  }
  const Twiddle* factor() const { return factor_.data(); }

 private:
  const RingTables& ring_;
  SecretArray<uint8_t, kKeyBytes> seed_;
  SecretBuffer<Twiddle> factor_;
};

// Returns the largest |value|; whether it lies within the bound is public, being reported.
uint32_t encrypt_segment(const KernelTable& kernels, const EncryptJob& job, size_t threads) {
  const size_t chunks = chunk_count(job.format.ring_elements);
  std::vector<uint32_t> largest(thread_count(chunks, threads), 0);
  for_each_range(chunks, threads, [&](size_t thread, size_t begin, size_t end) {
    largest[thread] = kernels.encrypt(job, begin, end);
  });
  TENSORGUARD_PUBLIC(largest.data(), largest.size() * sizeof(uint32_t));
  uint32_t result = 0;
  for (const uint32_t value : largest) result = value > result ? value : result;
  return result;
}

}  // namespace

const char* format_error(const WireFormat& format) {
  const RingTables* ring = ring_tables(format.parameter_set);
  if (ring == nullptr) return "unknown parameter set";
  if (format.wire_bits < kMinWireBits || format.wire_bits > ring_max_wire(format.parameter_set))
    return "wire bits out of range";
  if (format.fold < 1 || format.field_bits < 2 || format.field_bits > 31 ||
      format.plaintext_bits != format.fold * format.field_bits)
    return "plaintext bits are not fold times field bits";
  // A half step of at least one: the decode has room for an error.
  if (format.plaintext_bits + 1 > format.wire_bits) return "plaintext bits leave no room below the wire bits";
  if (format.value_count < 1 || format.value_count > (size_t{1} << 40)) return "value count out of range";
  const size_t coefficients = (format.value_count + format.fold - 1) / format.fold;
  if (format.ring_elements != (coefficients + ring->n - 1) / ring->n)
    return "ring elements do not fit the value count";
  if (format.ring_elements > UINT32_MAX - kChunkLanes ||
      format.first_element > UINT32_MAX - kChunkLanes - format.ring_elements)
    return "too many ring elements";
  return nullptr;
}

size_t ciphertext_bytes(const WireFormat& format) {
  return format.ring_elements * ring_tables(format.parameter_set)->n / 8 * format.wire_bits;
}

bool os_random(uint8_t* out, size_t size) { return getentropy(out, size) == 0; }

EncryptionOutcome encrypt(const KernelTable& kernels, const Encryption& encryption,
                          const uint8_t hedge[kHedgeBytes]) {
  const uint32_t parameter_set = encryption.segments.front().format.parameter_set;
  const RingTables& ring = *ring_tables(parameter_set);
  const OneTimeSecret secret(kernels, encryption, hedge);

  SecretArray<uint8_t, kKeyBytes> error_key;
  stream_key(hedge, kHedgeBytes, "error", parameter_set, encryption.plan_fingerprint, error_key.data);
  EncryptJob job;
  load_key(encryption.mask_key, job.mask_key);
  load_key(error_key.data, job.error_key);
  job.secret = secret.factor();
  job.values = encryption.values;
  job.ciphertext = encryption.ciphertext;

  EncryptionOutcome outcome = {0, true};
  for (const Segment& segment : encryption.segments) {
    job.format = segment.format;
    const uint32_t largest = encrypt_segment(kernels, job, encryption.threads);
    outcome.largest = largest > outcome.largest ? largest : outcome.largest;
    outcome.within_bounds = outcome.within_bounds && largest <= segment.value_bound;
    job.values += segment.format.value_count;
    job.ciphertext += ciphertext_bytes(segment.format);
  }
  wipe(job.error_key, sizeof job.error_key);
  if (!outcome.within_bounds) {
    wipe(encryption.ciphertext, static_cast<size_t>(job.ciphertext - encryption.ciphertext));
    for (uint32_t i = 0; i < encryption.custodians; ++i)
      wipe(encryption.shares[i], share_bytes(ring, encryption.threshold, i + 1));
  }
  return outcome;
}

ResidualStatistics open(const KernelTable& kernels, const Opening& opening) {
  const WireFormat& format = opening.format;
  const RingTables& ring = *ring_tables(format.parameter_set);
  SecretBuffer<uint32_t> residues(ring.n);
  // S is centred, |S| <= 16 N < q: adding q where it is negative makes it a residue.
  for (uint32_t i = 0; i < ring.n; ++i)
    residues[i] = static_cast<uint32_t>(opening.secret_sum[i]) +
                  (ring.q & static_cast<uint32_t>(opening.secret_sum[i] >> 31));
  SecretBuffer<Twiddle> factor(ring.n);
  prepare_factor(ring, format.parameter_set, kernels, residues.data(), factor.data());

  OpenJob job;
  job.format = format;
  load_key(opening.mask_key, job.mask_key);
  job.secret_sum = factor.data();
  job.aggregate = opening.aggregate;
  job.values = opening.values;
  const size_t chunks = chunk_count(format.ring_elements);
  std::vector<ResidualStatistics> parts(thread_count(chunks, opening.threads), ResidualStatistics{0, 0});
  for_each_range(chunks, opening.threads, [&](size_t thread, size_t begin, size_t end) {
    parts[thread] = kernels.open(job, begin, end);
  });
  TENSORGUARD_PUBLIC(parts.data(), parts.size() * sizeof(ResidualStatistics));
  ResidualStatistics total = {0, 0};
  for (const ResidualStatistics& part : parts) {
    if (part.max_absolute > total.max_absolute) total.max_absolute = part.max_absolute;
    total.sum_of_squares += part.sum_of_squares;
  }
  return total;
}

void sum(const KernelTable& kernels, const SumJob& job, size_t threads) {
  for_each_range(chunk_count(job.ring_elements), threads,
                 [&](size_t, size_t begin, size_t end) { kernels.sum(job, begin, end); });
}

}  // namespace tensorguard
