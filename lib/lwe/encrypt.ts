/** Encryption under a one-time secret that is made, used and wiped in native code. */
import { ParameterError } from '../errors.js';
import { native, threadCount } from '../native.js';
import type { PlanArithmetic } from './plan.js';
import { maskKey, messageDigest } from './streams.js';
import { encryptedSegment } from './wire.js';

export interface EncryptRequest {
  readonly plan: PlanArithmetic;
  /** The plan's 32-byte public seed. */
  readonly seed: Uint8Array;
  /** 32 bytes. */
  readonly planFingerprint: Uint8Array;
  /** The client's 32-byte PRF key, which hedges the system's randomness. */
  readonly prfKey: Uint8Array;
  /** plan.valueCount quantized values, segment by segment, within each one's bound; not changed. */
  readonly values: Int32Array;
  /** Out: plan.ciphertextBytes bytes on a 4-byte boundary; wiped where encryption fails. */
  readonly ciphertext: Uint8Array;
  /** Custodians that must agree to open, and how many there are. */
  readonly threshold: number;
  readonly custodians: number;
  readonly threads?: number;
}

/**
 * Encrypts one message (docs/protocol.md section 5) and deals the secret's shares (section 7).
 *
 * The secret exists only inside the call: no argument brings one in, and what comes back are its shares, one a
 * custodian, for sealing at once. Twice the same message gives two different ciphertexts.
 *
 * @returns shares in order of the custodians' indices 1..n
 * @throws ParameterError `encrypt.values`, `encrypt.value-out-of-bound`
 */
export async function encrypt(request: EncryptRequest): Promise<Uint8Array[]> {
  const { plan, values } = request;
  if (values.length !== plan.valueCount) {
    throw new ParameterError(
      'encrypt.values',
      `The plan holds ${plan.valueCount} values; ${values.length} were given.`,
    );
  }
  try {
    return await native().encrypt({
      segments: plan.segments.map(encryptedSegment),
      values,
      ciphertext: request.ciphertext,
      maskKey: maskKey(request.seed, plan.parameterSet, request.planFingerprint),
      planFingerprint: request.planFingerprint,
      prfKey: request.prfKey,
      messageDigest: messageDigest(request.prfKey, values),
      threshold: request.threshold,
      custodians: request.custodians,
      threads: threadCount(request.threads),
    });
  } catch (cause) {
    if (cause instanceof Error && cause.message.includes("plan's bound")) {
      throw new ParameterError(
        'encrypt.value-out-of-bound',
        `A value exceeds its plan's bound (${plan.segments.map(({ bits, valueBound }) => `${valueBound} at ${bits} bits`).join(', ')}): ` +
          'clamp values when quantizing.',
        { cause },
      );
    }
    throw cause;
  }
}
