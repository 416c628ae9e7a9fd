// The pipeline's kernels on each instruction set, with fixed hedges.
#ifndef TENSORGUARD_ADDON_TESTING_PIPELINE_TESTING_H_
#define TENSORGUARD_ADDON_TESTING_PIPELINE_TESTING_H_

#include <napi.h>

namespace tensorguard {

// rotateAndSample, placeAndRotateBack, quantize, addNoise: the instruction set's name, then the arguments of
// the shipped calls, with `hedge` (80 bytes) for PRF key and digest. Synchronous.
void register_pipeline_testing(Napi::Object exports);

}  // namespace tensorguard

#endif  // TENSORGUARD_ADDON_TESTING_PIPELINE_TESTING_H_
