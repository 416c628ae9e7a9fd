#include "custody_calls.h"

#include "../core/secret.h"
#include "../core/shamir.h"
#include "arguments.h"
#include "boundary.h"

namespace tensorguard {
namespace {

// {parameterSet, planFingerprint: 32, threshold, index, share, accumulator: Uint32Array n} -> boolean, false
// where the share is malformed.
Napi::Value add_share_call(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env(), info[0]);
  const RingTables* ring = arguments.ring();
  const uint8_t* fingerprint = arguments.bytes("planFingerprint", 32);
  const uint32_t threshold = arguments.word("threshold", 1, kMaxCustodians);
  const uint32_t index = arguments.word("index", 1, kMaxCustodians);
  size_t share_size = 0;
  const uint8_t* share = arguments.bytes("share", SIZE_MAX, &share_size);
  uint32_t* accumulator = arguments.uint32s("accumulator", ring->n);
  if (arguments.failed()) return arguments.raise();
  const bool added = add_share(*ring, arguments.parameter_set(), fingerprint, threshold, index, share,
                               share_size, accumulator);
  return Napi::Boolean::New(info.Env(), added);
}

// {parameterSet, points: number[], rows: Uint32Array[], at, out: Uint32Array n}
Napi::Value interpolate_call(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env(), info[0]);
  const RingTables* ring = arguments.ring();
  const Napi::Array points_in = arguments.array("points");
  const Napi::Array rows_in = arguments.array("rows");
  const uint32_t at = arguments.word("at", 0, kMaxCustodians);
  uint32_t* out = arguments.uint32s("out", ring->n);
  std::vector<uint32_t> points;
  std::vector<const uint32_t*> rows;
  if (!arguments.failed() && (points_in.Length() != rows_in.Length() || points_in.Length() == 0 ||
                              points_in.Length() > kMaxCustodians + 1))
    arguments.fail("points and rows must be arrays of the same length, 1 to 256");
  for (uint32_t i = 0; !arguments.failed() && i < points_in.Length(); ++i) {
    const Napi::Value point = points_in[i];
    const double number = point.IsNumber() ? point.As<Napi::Number>().DoubleValue() : -1;
    if (!(number >= 0 && number <= kMaxCustodians) || number != std::floor(number)) {
      arguments.fail("points must be integers from 0 to 255");
      break;
    }
    for (const uint32_t earlier : points)
      if (earlier == static_cast<uint32_t>(number)) arguments.fail("points must be distinct");
    points.push_back(static_cast<uint32_t>(number));
    const Napi::Value row = rows_in[i];
    rows.push_back(arguments.uint32_array(row, "each row", ring->n));
    if (!arguments.failed() && rows.back() == out) arguments.fail("out must not be one of the rows");
    for (uint32_t j = 0; !arguments.failed() && j < ring->n; ++j)
      if (rows.back()[j] >= ring->q) arguments.fail("rows must hold residues below q");
  }
  if (arguments.failed()) return arguments.raise();
  interpolate(*ring, points, rows, at, out);
  return info.Env().Undefined();
}

// {parameterSet, residues: Uint32Array n, packed: Uint8Array}
Napi::Value pack_residues_call(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env(), info[0]);
  const RingTables* ring = arguments.ring();
  const uint32_t* residues = arguments.uint32s("residues", ring->n);
  uint8_t* packed = arguments.bytes("packed", packed_residue_bytes(*ring));
  if (arguments.failed()) return arguments.raise();
  pack_residues(*ring, residues, packed);
  return info.Env().Undefined();
}

// {parameterSet, packed, residues} -> boolean, false where a residue is not below q.
Napi::Value unpack_residues_call(const Napi::CallbackInfo& info) {
  Arguments arguments(info.Env(), info[0]);
  const RingTables* ring = arguments.ring();
  const uint8_t* packed = arguments.bytes("packed", packed_residue_bytes(*ring));
  uint32_t* residues = arguments.uint32s("residues", ring->n);
  if (arguments.failed()) return arguments.raise();
  return Napi::Boolean::New(info.Env(), unpack_residues(*ring, packed, residues));
}

}  // namespace

void register_custody_calls(Napi::Object exports) {
  export_call<add_share_call>(exports, "addShare");
  export_call<interpolate_call>(exports, "interpolate");
  export_call<pack_residues_call>(exports, "packResidues");
  export_call<unpack_residues_call>(exports, "unpackResidues");
}

}  // namespace tensorguard
