/** A site gateway's part: sum the site's updates before they are sent, so that one ciphertext leaves it in place of many. */
import type { TrustedPlan } from '../custody/trusted-plan.js';
import { RefusedError } from '../errors.js';
import type { RefusedUpdate } from '../package/messages/aggregate.js';
import type { PartialSumBody } from '../package/messages/partial-sum.js';
import type { SigningKey } from '../package/signing-key.js';
import { writeContainer } from '../package/writer.js';
import type { Policy } from '../policy/policy.js';
import { requirePlanAllowed } from './plan-facts.js';
import { Spool } from './spool.js';
import { SumInProgress, type SummedFile } from './sum-in-progress.js';

export interface GatewaySumOptions {
  readonly plan: TrustedPlan;
  /** What the gateway allows. */
  readonly policy: Policy;
  readonly gatewayId: string;
  readonly signing: SigningKey;
  /** Update files of the site, in any order. */
  readonly updates: AsyncIterable<SummedFile> | Iterable<SummedFile>;
  /** Fail at the first update that must be left out. */
  readonly strict?: boolean;
  /** The partial sum to write (.tgg). */
  readonly out: string;
}

export interface GatewaySum {
  readonly fingerprint: Uint8Array;
  readonly sizeBytes: number;
  readonly contributors: readonly { readonly client: string; readonly update: Uint8Array }[];
  /** Not in the partial sum's header: the gateway answers for these to its own site. */
  readonly refused: readonly RefusedUpdate[];
}

/**
 * Verifies and sums a site's updates, and writes the signed partial sum to `out`. The quorum and the clients' shares of the
 * weights are the whole round's, and the aggregator's to look at.
 *
 * @throws RefusedError `partial-sum.empty`, `policy.*`; with `strict`, the first update's own error
 */
export async function sumAtGateway(options: GatewaySumOptions): Promise<GatewaySum> {
  const { plan, policy, strict, signing: signer } = options;
  requirePlanAllowed(policy, plan, 'gateway');
  const spool = await Spool.open();
  try {
    const sum = new SumInProgress({ plan, policy, kinds: ['update'], strict }, spool);
    for await (const file of options.updates) await sum.take(file);
    requireSomething(sum);
    const { contributors, sections, ...lengths } = await sum.finish();
    const { fleet, policy: name, cohort, round } = plan.body;
    const body: PartialSumBody = {
      ...{ fleet, policy: name, cohort, round, plan: plan.fingerprint },
      gateway: options.gatewayId,
      accepted: contributors,
      ...lengths,
    };
    const { envelope, sizeBytes } = await writeContainer(options.out, {
      ...{ kind: 'partial-sum', body, sections, signer },
    });
    return { fingerprint: envelope.fingerprint, sizeBytes, contributors, refused: sum.refused };
  } finally {
    await spool.close();
  }
}

function requireSomething({ contributorCount, refused }: SumInProgress): void {
  if (contributorCount > 0) return;
  const reasons = refused.map(({ source, code, message }) => `\n  ${source}: ${code}: ${message}`).join('');
  throw new RefusedError(
    'partial-sum.empty',
    `No update of the site can be summed. Nothing was written.${reasons}`,
  );
}
