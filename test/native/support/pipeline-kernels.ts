/** The pipeline's kernels in the testing addon: each instruction set, with a fixed hedge. */
import type {
  NativeNoise,
  NativePlaceAndRotateBack,
  NativeQuantization,
  NativeRotateAndSample,
  QuantizationStatistics,
} from '../../../lib/native.js';
import { testingAddon } from '../../support/testing-addon.js';

/** 80 bytes instead of the PRF key, the digest and the system's randomness. */
type Fixed<Job> = Omit<Job, 'prfKey' | 'inputDigest'> & { readonly hedge: Uint8Array };

export interface PipelineKernels {
  /** The sum of squares of what is kept. */
  rotateAndSample(isa: string, job: NativeRotateAndSample): number;
  placeAndRotateBack(isa: string, job: NativePlaceAndRotateBack): void;
  quantize(isa: string, job: Fixed<NativeQuantization>): QuantizationStatistics;
  addNoise(isa: string, job: Fixed<NativeNoise>): void;
}

export const pipelineKernels = testingAddon as unknown as PipelineKernels;
