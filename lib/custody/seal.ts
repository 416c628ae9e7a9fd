/** The client's seal: one encryption, one sealed share a custodian. */
import { encrypt } from '../lwe/encrypt.js';
import { shareInfo } from './bindings.js';
import { sealTo } from './hpke.js';
import { custodiansByIndex } from './roster.js';
import { sharesSectionBytes } from './sharing.js';
import type { TrustedPlan } from './trusted-plan.js';

export interface SealedMessage {
  readonly ciphertext: Uint8Array;
  /** Sealed shares in order of the custodians' indices, back to back. */
  readonly shares: Uint8Array;
}

/**
 * Encrypts quantized values under a fresh one-time secret and seals its shares, each to its custodian and bound to
 * this client, plan and round. The shares are wiped once they are sealed.
 *
 * @param clientKeyId the id of the client's signing keys
 */
export async function sealMessage(
  plan: TrustedPlan,
  client: string,
  clientKeyId: Uint8Array,
  prfKey: Uint8Array,
  values: Int32Array,
): Promise<SealedMessage> {
  const { body } = plan;
  const ciphertext = new Uint8Array(plan.arithmetic.ciphertextBytes);
  const shares = await encrypt({
    plan: plan.arithmetic,
    seed: body.seed,
    planFingerprint: plan.fingerprint,
    prfKey,
    values,
    ciphertext,
    threshold: body.threshold,
    custodians: body.custodians,
  });
  try {
    const section = new Uint8Array(sharesSectionBytes(body));
    let offset = 0;
    for (const [i, custodian] of custodiansByIndex(plan.roster).entries()) {
      const info = shareInfo({
        fleet: body.fleet,
        policy: body.policy,
        cohort: body.cohort,
        round: body.round,
        plan: plan.fingerprint,
        client,
        clientKeyId,
        custodian: custodian.id,
        custodianIndex: custodian.index,
        keyEpoch: body.keyEpoch,
      });
      const sealed = await sealTo(custodian.kem, info, shares[i] as Uint8Array);
      section.set(sealed, offset);
      offset += sealed.length;
    }
    return { ciphertext, shares: section };
  } finally {
    for (const share of shares) share.fill(0);
  }
}
