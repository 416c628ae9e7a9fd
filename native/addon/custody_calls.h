// Shares and their sums: short calls, on the caller's thread.
#ifndef TENSORGUARD_ADDON_CUSTODY_CALLS_H_
#define TENSORGUARD_ADDON_CUSTODY_CALLS_H_

#include <napi.h>

namespace tensorguard {

// addShare, interpolate, packResidues, unpackResidues; lib/native.ts has their types.
void register_custody_calls(Napi::Object exports);

}  // namespace tensorguard

#endif  // TENSORGUARD_ADDON_CUSTODY_CALLS_H_
