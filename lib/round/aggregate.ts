/** The aggregator's part: verify each update, sum those that hold, say why the others do not. */
import type { TrustedPlan } from '../custody/trusted-plan.js';
import type { Unbalanced } from '../custody/weights.js';
import { RefusedError } from '../errors.js';
import type { AggregateBody, RefusedUpdate } from '../package/messages/aggregate.js';
import type { SigningKey } from '../package/signing-key.js';
import { writeContainer } from '../package/writer.js';
import type { Policy } from '../policy/policy.js';
import { requirePlanAllowed } from './plan-facts.js';
import { Spool } from './spool.js';
import { SumInProgress, type SummedFile } from './sum-in-progress.js';

export interface AggregateOptions {
  readonly plan: TrustedPlan;
  /** What the aggregator allows. */
  readonly policy: Policy;
  readonly aggregatorId: string;
  readonly signing: SigningKey;
  /** Update files and gateways' partial sums, in any order: paths, or what stands for them. */
  readonly updates: AsyncIterable<SummedFile> | Iterable<SummedFile>;
  /** Fail at the first update that must be left out. */
  readonly strict?: boolean;
  /** The aggregate to write (.tga). */
  readonly out: string;
  readonly onProgress?: (done: number) => void;
}

export interface Aggregation {
  readonly fingerprint: Uint8Array;
  readonly sizeBytes: number;
  readonly accepted: number;
  readonly refused: readonly RefusedUpdate[];
}

/**
 * Verifies and sums updates, and writes the signed aggregate to `out`. What must be refused is left out, with its reason
 * in the aggregate; of a partial sum, that is the whole of it. Memory for a few updates and for the list of who took part:
 * sealed shares wait on the disk.
 *
 * Whether a client has too much of a module's weight, or too few others have trained one, is known only when all are in; the
 * sum is then made again without those clients.
 *
 * @throws RefusedError `aggregate.below-quorum`, `weights.*`, `policy.*`; with `strict`, the first update's own error
 */
export async function aggregateUpdates(options: AggregateOptions): Promise<Aggregation> {
  const { plan, policy } = options;
  requirePlanAllowed(policy, plan, 'aggregator');
  const files: SummedFile[] = [];
  for await (const file of options.updates) files.push(file);
  const leftOut = new Map<string, Unbalanced>();
  for (;;) {
    const outcome = await sumOnce(options, files, leftOut);
    if (!('clients' in outcome)) return outcome;
    for (const client of outcome.clients) leftOut.set(client, outcome);
  }
}

function requireQuorum({ plan }: AggregateOptions, sum: SumInProgress, offered: number): void {
  const { quorum } = plan.body;
  if (sum.contributorCount >= quorum) return;
  const reasons = sum.refused
    .map(({ source, code, message }) => `\n  ${source}: ${code}: ${message}`)
    .join('');
  throw new RefusedError(
    'aggregate.below-quorum',
    `${sum.contributorCount} updates of ${offered} files can be summed; the plan's quorum is ${quorum}. Nothing was written.${reasons}`,
  );
}

/** @returns the aggregation, or who has to be left out of it */
async function sumOnce(
  options: AggregateOptions,
  files: readonly SummedFile[],
  leftOut: ReadonlyMap<string, Unbalanced>,
): Promise<Aggregation | Unbalanced> {
  const spool = await Spool.open();
  try {
    const { plan, policy, strict } = options;
    const kinds = ['update', 'partial-sum'] as const;
    const sum = new SumInProgress({ plan, policy, kinds, strict }, spool, leftOut);
    for (const [done, file] of files.entries()) {
      await sum.take(file);
      options.onProgress?.(done + 1);
    }
    requireQuorum(options, sum, files.length);
    const unbalanced = sum.tally.unbalanced();
    if (unbalanced !== undefined && strict !== true) return unbalanced;
    sum.tally.requireBalanced();
    const { contributors, sections, ...lengths } = await sum.finish();
    const { fleet, policy: name, cohort, round } = plan.body;
    const body: AggregateBody = {
      ...{ fleet, policy: name, cohort, round, plan: plan.fingerprint },
      aggregator: options.aggregatorId,
      accepted: contributors,
      ...lengths,
      refused: sum.refused,
    };
    const signer = options.signing;
    const { envelope, sizeBytes } = await writeContainer(options.out, {
      ...{ kind: 'aggregate', body, sections, signer },
    });
    const { fingerprint } = envelope;
    return { fingerprint, sizeBytes, accepted: contributors.length, refused: sum.refused };
  } finally {
    await spool.close();
  }
}
