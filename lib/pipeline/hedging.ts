/** What the pipeline's secret randomness is hedged with, beside 32 bytes from the system (docs/protocol.md section 2). */
import { ParameterError } from '../errors.js';
import { type ParameterSetName, parameterSet } from '../lwe/parameters.js';
import { messageDigest } from '../lwe/streams.js';
import type { NativeHedge } from '../native.js';

export interface Hedge {
  readonly parameterSet: ParameterSetName;
  /** 32 bytes. */
  readonly planFingerprint: Uint8Array;
  /** The client's 32-byte PRF key. */
  readonly prfKey: Uint8Array;
}

/**
 * The hedge of one call: a machine that was cloned or restored draws other randomness as soon as its input differs.
 *
 * @param input the values that the randomness is drawn for; only a keyed digest of them is used
 * @throws ParameterError `pipeline.plan-fingerprint`, `stream.wrong-length`
 */
export function nativeHedge(hedge: Hedge, input: Int32Array | Float32Array): NativeHedge {
  if (hedge.planFingerprint.byteLength !== 32) {
    throw new ParameterError(
      'pipeline.plan-fingerprint',
      `The plan fingerprint has ${hedge.planFingerprint.byteLength} bytes; it must have 32.`,
    );
  }
  return {
    parameterSet: parameterSet(hedge.parameterSet).nativeId,
    planFingerprint: hedge.planFingerprint,
    prfKey: hedge.prfKey,
    inputDigest: messageDigest(hedge.prfKey, input),
  };
}
