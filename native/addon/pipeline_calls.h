// From a delta to the integers that are encrypted, off the main thread.
#ifndef TENSORGUARD_ADDON_PIPELINE_CALLS_H_
#define TENSORGUARD_ADDON_PIPELINE_CALLS_H_

#include <napi.h>

#include "../core/kernel_table.h"

namespace tensorguard {

// rotateAndSample, placeAndRotateBack, quantize, addNoise; lib/native.ts has their types. The kernels outlive
// the addon's calls.
void register_pipeline_calls(Napi::Object exports, const KernelTable& kernels);

}  // namespace tensorguard

#endif  // TENSORGUARD_ADDON_PIPELINE_CALLS_H_
