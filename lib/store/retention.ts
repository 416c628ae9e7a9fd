/**
 * Which blobs may go: pure, so that what is never lost can be tested against every history.
 *
 * A round's ciphertexts are the only proof of what was summed, and what a custodian or the owner checks, until the
 * owner's close record exists; however old the round is, they stay until then.
 */
import { ParameterError } from '../errors.js';
import type { StoredBlob } from './store.js';

/** A round, and the blobs that it refers to. */
export interface RoundBlobs {
  /** When its close record was stored; undefined while there is none. */
  readonly closedAtMs: number | undefined;
  /** Envelopes and chunks of updates, aggregates: kept for the last rounds that were closed. */
  readonly ciphertexts: readonly string[];
  /** Plan, answers, close record: kept as long as the round is listed. */
  readonly records: readonly string[];
}

export interface RetentionPolicy {
  /** How many closed rounds keep their ciphertexts. */
  readonly closedRounds: number;
  /**
   * How long a blob stays that nothing refers to: longer than an upload takes from its first byte to the round's record
   * of it, and than clocks of the machines differ.
   */
  readonly graceMs: number;
}

/**
 * The digests that must stay.
 *
 * @throws ParameterError `store.bad-retention`
 */
export function blobsToKeep(rounds: readonly RoundBlobs[], policy: RetentionPolicy): Set<string> {
  const letGo = new Set(roundsToLetGo(rounds, policy));
  return new Set(
    rounds.flatMap((round) => (letGo.has(round) ? round.records : [...round.records, ...round.ciphertexts])),
  );
}

/**
 * The rounds whose ciphertexts may go.
 *
 * @throws ParameterError `store.bad-retention`
 */
export function roundsToLetGo<T extends Pick<RoundBlobs, 'closedAtMs'>>(
  rounds: readonly T[],
  policy: RetentionPolicy,
): T[] {
  requirePolicy(policy);
  const closed = rounds.filter(({ closedAtMs }) => closedAtMs !== undefined);
  // Of rounds that were closed at the same time none is older than the others: all of them stay, or none.
  const oldestKept = closed
    .map(({ closedAtMs }) => closedAtMs ?? 0)
    .sort((a, b) => b - a)
    .at(policy.closedRounds - 1);
  return rounds.filter(
    ({ closedAtMs }) =>
      closedAtMs !== undefined &&
      (policy.closedRounds === 0 || (closed.length > policy.closedRounds && closedAtMs < (oldestKept ?? 0))),
  );
}

/** Whether a sweep may remove a blob. `storedBeforeMs` is the sweep's start less the policy's grace. */
export function mayGo(blob: StoredBlob, keep: ReadonlySet<string>, storedBeforeMs: number): boolean {
  return !keep.has(blob.digest) && blob.storedAtMs < storedBeforeMs;
}

export function requirePolicy({ closedRounds, graceMs }: RetentionPolicy): void {
  if (!Number.isSafeInteger(closedRounds) || closedRounds < 0 || !(graceMs >= 0)) {
    throw new ParameterError(
      'store.bad-retention',
      'Retention keeps a whole number of closed rounds, 0 or more, and a grace of 0 ms or more.',
    );
  }
}
