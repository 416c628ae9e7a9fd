/** The owner's own sum, from what clients and gateways have signed: what an aggregator cannot have shifted. */
import type { TrustedAggregate } from '../custody/contributions.js';
import { checkPartialSum } from '../custody/partial-sums.js';
import type { TrustedPlan } from '../custody/trusted-plan.js';
import { checkUpdate } from '../custody/trusted-update.js';
import { FormatError, RefusedError, VerificationError } from '../errors.js';
import { hex } from '../package/messages/common.js';
import { type AnyContainer, openAnyContainer } from '../package/reader.js';
import { CiphertextSum } from './ciphertext-sum.js';

/**
 * Recomputes the sum from signed updates (.tgu) and partial sums (.tgg).
 *
 * @returns the gateways on whose word the sum rests for their sites, ascending
 * @throws VerificationError `open.sum-shifted`; RefusedError `open.updates-missing`, `open.update-not-in-set`
 */
export async function verifySum(
  plan: TrustedPlan,
  aggregate: TrustedAggregate,
  ciphertext: Uint8Array,
  paths: readonly string[],
): Promise<readonly string[]> {
  const missing = new Set(aggregate.updates.map(hex));
  const gateways = new Set<string>();
  const sum = new CiphertextSum(plan.arithmetic);
  const maxFileBytes = plan.roster.body.maxUpdateBytes * plan.body.lwe.maxClients;
  for (const path of paths) {
    const file = await openAnyContainer(path, { maxFileBytes });
    try {
      for (const update of await updatesIn(file, plan, path)) {
        if (!missing.delete(hex(update))) throw notInSet(path);
      }
      if (file.kind === 'partial-sum') gateways.add(file.body.gateway);
      await file.readSectionInto('ciphertext', sum.slot());
      await sum.accept();
    } finally {
      await file.close();
    }
  }
  if (missing.size > 0) {
    throw new RefusedError(
      'open.updates-missing',
      `${missing.size} of the ${aggregate.updates.length} updates in the sum were not given. Pass all of them to --verify.`,
    );
  }
  if (Buffer.compare(await sum.finish(), ciphertext) !== 0) {
    throw new VerificationError(
      'open.sum-shifted',
      'The aggregate is not the sum of its signed updates: the aggregator changed it. Do not use it; sum the updates yourself.',
    );
  }
  return [...gateways].sort();
}

async function updatesIn(
  file: AnyContainer,
  plan: TrustedPlan,
  path: string,
): Promise<readonly Uint8Array[]> {
  if (file.kind === 'update') {
    await checkUpdate(file, plan);
    return [file.fingerprint];
  }
  if (file.kind === 'partial-sum') {
    await checkPartialSum(file, plan);
    return file.body.accepted.map(({ update }) => update);
  }
  throw new FormatError(
    'container.wrong-kind',
    `${path} is a file of kind "${file.kind}"; a sum is recomputed from updates and partial sums.`,
  );
}

function notInSet(path: string): RefusedError {
  return new RefusedError(
    'open.update-not-in-set',
    `${path} is not in the aggregate's set, or was given twice. Pass exactly the updates that were summed.`,
  );
}
