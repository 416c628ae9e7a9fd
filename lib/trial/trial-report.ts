/** What a trial has come to: what came out of the round, held against what went in. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ADAPTER_TENSORS_FILE } from '../adapter/peft.js';
import { VerificationError } from '../errors.js';
import { acceptedUpdates, type RoundState } from '../round/machine/state.js';
import { planOf } from '../server/context.js';
import { sizeOf } from '../server/files/stored-file.js';
import { readFileRecord } from '../server/rounds/stored-round.js';
import type { Service } from '../server/service.js';
import { compareWithPlainAverage, type PlainComparison } from './plain-comparison.js';
import type { FileSizes } from './round-story.js';
import { checkRounding } from './rounding-check.js';
import { averagesOf, type TrialFleet } from './trial-fleet.js';

export interface TrialReport {
  readonly plan: string;
  readonly robots: number;
  readonly custodians: number;
  readonly threshold: number;
  readonly updateBytes: readonly number[];
  readonly aggregateBytes: number;
  /** Opened sums, and how many of them are none that the robots' values can be rounded to: 0, or the trial has failed. */
  readonly sums: number;
  readonly wrongSums: number;
  readonly comparison: PlainComparison;
  readonly milliseconds: number;
}

export function sizesOf({ intake, store }: Service['context'], plan: string): FileSizes {
  return {
    update: async (fingerprint: string) => sizeOf((await intake.find(plan, fingerprint))?.file ?? []),
    aggregate: async () => sizeOf((await readFileRecord(store.state, 'aggregate', plan))?.file ?? []),
  };
}

/** @throws VerificationError `trial.wrong-average` */
export async function examine(
  fleet: TrialFleet,
  { context }: Service,
  plan: string,
  state: RoundState,
): Promise<Omit<TrialReport, 'milliseconds'>> {
  const trusted = await planOf(context, plan);
  const average = join(averagesOf(fleet), '1');
  const accepted = acceptedUpdates(state);
  const { values, outOfReach } = await checkRounding(fleet, trusted, average);
  if (accepted.length !== fleet.robots.length || outOfReach > 0) {
    throw new VerificationError(
      'trial.wrong-average',
      `${outOfReach} of ${values} opened sums are none of the ${fleet.robots.length} robots' values (${accepted.length} updates were summed). Run doctor, and report it.`,
    );
  }
  const opened = await readFile(join(average, ADAPTER_TENSORS_FILE));
  for (const { id, releaseDirectory } of fleet.robots) {
    if (opened.equals(await readFile(join(releaseDirectory, ADAPTER_TENSORS_FILE)))) continue;
    throw new VerificationError(
      'trial.wrong-average',
      `${id} has another adapter than the owner released. Run doctor, and report it.`,
    );
  }
  const sizes = sizesOf(context, plan);
  return {
    plan,
    robots: fleet.robots.length,
    custodians: fleet.custodians.length,
    threshold: fleet.threshold,
    updateBytes: await Promise.all(accepted.map(({ update }) => sizes.update(update.fingerprint))),
    aggregateBytes: await sizes.aggregate(),
    ...{ sums: values, wrongSums: outOfReach },
    comparison: await compareWithPlainAverage(fleet, trusted, average),
  };
}

export function checkLine({ sums, robots, comparison }: Omit<TrialReport, 'milliseconds'>): string {
  const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;
  return (
    `Checked: each of the ${sums} opened sums is one of the ${robots} robots' own values, rounded. The average differs from the ` +
    `plain one by ${percent(comparison.relativeError)}; rounding alone gives ${percent(comparison.expectedRelativeError)}.`
  );
}
