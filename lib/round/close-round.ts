/** The owner's last word on a round: the signed close record, which releases the deltas that it does not list. */
import { checkAggregate } from '../custody/contributions.js';
import type { TrustedPlan } from '../custody/trusted-plan.js';
import { ParameterError, RefusedError } from '../errors.js';
import { type CloseBody, closeReasonSchema } from '../package/messages/close.js';
import { openContainer } from '../package/reader.js';
import { containerBytes, encodeContainer } from '../package/writer.js';
import type { OwnerIdentity } from './open-round.js';

async function setOfAggregate(plan: TrustedPlan, path: string): Promise<Uint8Array> {
  const container = await openContainer(path, 'aggregate');
  try {
    return (await checkAggregate(container, plan)).set;
  } finally {
    await container.close();
  }
}

/**
 * Ends a round with a signed close record: the updates that were opened, or none and why. The first record of a plan is
 * the one that counts; closing again gives it back, byte for byte.
 *
 * @param aggregatePath the aggregate that the round came to, if any
 * @throws ParameterError `close.bad-reason`
 * @throws RefusedError `close.another-set` where the round opened another set than this aggregate's
 */
export async function closeRound(
  owner: Pick<OwnerIdentity, 'signing' | 'records'>,
  plan: TrustedPlan,
  aggregatePath: string | undefined,
  reason: string | undefined,
): Promise<{ readonly record: Uint8Array; readonly body: CloseBody }> {
  const { records } = owner;
  const earlier = await records.closed(plan.fingerprint);
  if (earlier !== undefined) return { record: earlier, body: (await openContainer(earlier, 'close')).body };
  if (reason !== undefined && !closeReasonSchema.safeParse(reason).success) {
    // Refused now: once the outcome is recorded with it, the round could not be closed with another.
    throw new ParameterError('close.bad-reason', 'The reason must be one line of at most 2048 characters.');
  }
  const given = aggregatePath === undefined ? undefined : await setOfAggregate(plan, aggregatePath);
  // From here on the round is not opened any more, unless it was: what stands is what is signed.
  const outcome =
    (await records.outcome(plan.fingerprint)) ??
    (await records.endUnopened({
      plan: plan.fingerprint,
      ...(given !== undefined && { set: given }),
      reason: reason ?? 'the round was closed before it was opened',
    }));
  const opened = outcome.outcome === 'opened';
  if (opened && given !== undefined && Buffer.compare(outcome.set, given) !== 0) {
    throw new RefusedError(
      'close.another-set',
      'The round opened another set than this aggregate holds. Pass the aggregate that was opened.',
    );
  }
  const { fleet, policy, cohort, round } = plan.body;
  const container = await encodeContainer({
    kind: 'close',
    body: {
      fleet,
      policy,
      cohort,
      round,
      plan: plan.fingerprint,
      opened: opened ? [...outcome.updates] : [],
      ...(outcome.set !== undefined && { set: outcome.set }),
      ...(!opened && { reason: outcome.reason }),
    },
    sections: [],
    signer: owner.signing,
  });
  const record = await records.recordClosed(plan.fingerprint, containerBytes(container));
  return { record, body: (await openContainer(record, 'close')).body };
}
