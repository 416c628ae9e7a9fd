/**
 * An update from a client that leaves out the clip: it is the client that clips, and nobody can tell from a ciphertext
 * whether it did. The format still bounds every value to the plan's largest level.
 */

import { sealMessage } from '../../../lib/custody/seal.js';
import { replaceFile } from '../../../lib/files.js';
import type { ClientIdentity, TrustedPlan } from '../../../lib/index.js';
import { containerBytes, encodeContainer } from '../../../lib/index.js';
import { UPDATE_SCHEMA_VERSION, WEIGHT_ONE } from '../../../lib/package/messages/update.js';
import { encodeDelta } from '../../../lib/pipeline/delta-encoder.js';
import { AdapterDelta } from '../../../lib/round/adapter-delta.js';

export interface UnclippedUpdate {
  readonly client: ClientIdentity;
  /** Without noise: a private plan's rounding could not be met. */
  readonly plan: TrustedPlan;
  readonly adapter: string;
  readonly base: string;
  readonly out: string;
}

/** @returns how many values were beyond the largest level, and were sent as that */
export async function writeUnclippedUpdate(options: UnclippedUpdate): Promise<number> {
  const { client, plan, out } = options;
  const delta = await AdapterDelta.open(plan.body, options.adapter, options.base);
  try {
    const { values, saturatedValues } = await client.prf.use((prfKey) =>
      encodeDelta({
        plan: { ...plan.body, clip: Number.MAX_VALUE },
        planFingerprint: plan.fingerprint,
        prfKey,
        weights: [WEIGHT_ONE],
        readDelta: ({ tensor }, into) => delta.read(tensor.name, into),
      }),
    );
    const sealed = await client.prf.use((prfKey) =>
      sealMessage(plan, client.id, client.signing.keyId, prfKey, values),
    );
    const { fleet, policy, cohort, round, keyEpoch, parameterSet, adapterSchema } = plan.body;
    const container = await encodeContainer({
      kind: 'update',
      body: {
        schema: UPDATE_SCHEMA_VERSION,
        fleet,
        policy,
        cohort,
        round,
        plan: plan.fingerprint,
        client: client.id,
        parameterSet,
        keyEpoch,
        adapterSchema,
      },
      sections: [
        { name: 'ciphertext', data: sealed.ciphertext },
        { name: 'shares', data: sealed.shares },
      ],
      signer: client.signing,
    });
    await replaceFile(out, containerBytes(container));
    return saturatedValues;
  } finally {
    await delta.close();
  }
}
