/** What is expected of the fleet against what it reports. */

import { isSameRelease, type ReleaseReference } from '../package/release-reference.js';
import { timerOf } from './clock.js';
import type { RolloutEffect } from './effects.js';
import { unconfirmedClients } from './rolling-back.js';
import { adaptersToWithdraw, expectedOf, isWatched, type RolloutClient, type RolloutState } from './state.js';

export type DriftStatus =
  /** Runs what it should. */
  | 'as-expected'
  /** Runs the adapter that it should, from a release with another counter. */
  | 'same-adapter'
  /** Has reported nothing in this rollout. */
  | 'not-reported'
  /** Runs another adapter: an update on its way, or one that failed. */
  | 'other-adapter'
  /** Runs an adapter that this rollout withdrew. */
  | 'withdrawn-adapter';

export interface ClientDrift {
  readonly client: string;
  readonly expected: ReleaseReference;
  readonly reported?: ReleaseReference;
  /** Milliseconds since 1970. */
  readonly lastSeenMs?: number;
  readonly status: DriftStatus;
}

/** Every enrolled client, in the order in which they get the release. */
export function drift(state: RolloutState): ClientDrift[] {
  return state.clients.flatMap((client) => {
    const expected = expectedOf(state, client);
    if (expected === undefined) return [];
    const { id, reported, lastSeenMs } = client;
    return {
      client: id,
      expected,
      ...(reported !== undefined && { reported }),
      ...(lastSeenMs !== undefined && { lastSeenMs }),
      status: statusOf(state, expected, client),
    };
  });
}

function statusOf(state: RolloutState, expected: ReleaseReference, { reported }: RolloutClient): DriftStatus {
  if (reported === undefined) return 'not-reported';
  if (isSameRelease(expected, reported)) return 'as-expected';
  if (expected.adapterFingerprint === reported.adapterFingerprint) return 'same-adapter';
  const goesBack = state.rollback !== undefined || state.phase.name === 'rolled-back';
  const isWithdrawn = goesBack && adaptersToWithdraw(state.plan).includes(reported.adapterFingerprint);
  return isWithdrawn ? 'withdrawn-adapter' : 'other-adapter';
}

/**
 * The effects that a state still calls for: what a server carries out that takes a rollout over, and cannot know what the
 * one before it got to.
 */
export function outstandingEffects(state: RolloutState): RolloutEffect[] {
  return [...outstandingOffers(state), ...timerOf(state)];
}

function outstandingOffers(state: RolloutState): RolloutEffect[] {
  const { phase, plan, rollback } = state;
  if (rollback?.release !== undefined) {
    const clients = unconfirmedClients(state).map(({ id }) => id);
    const { release } = rollback;
    return [...offer(release, clients), { type: 'publish', release }];
  }
  if (rollback !== undefined) {
    return [
      { type: 'withdraw-offer', release: plan.release },
      { type: 'request-rollback-release', to: plan.previous.counter, withdrawn: rollback.withdrawn },
    ];
  }
  if (!isWatched(phase) && phase.name !== 'full') return [];
  const waiting = state.clients.filter(
    ({ enrolled, offered, reported }) => enrolled && offered && !isSameRelease(plan.release, reported),
  );
  const offers = offer(
    plan.release,
    waiting.map(({ id }) => id),
  );
  return phase.name === 'full' ? [...offers, { type: 'publish', release: plan.release }] : offers;
}

function offer(release: ReleaseReference, clients: readonly string[]): RolloutEffect[] {
  return clients.length === 0 ? [] : [{ type: 'offer-release', release, clients }];
}
