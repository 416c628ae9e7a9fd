/** What robots say, and who belongs to the fleet. */
import { RefusedError } from '../errors.js';
import { MAX_CLIENTS } from '../package/messages/common.js';
import { isSameRelease } from '../package/release-reference.js';
import { alertOf, andThen, type RolloutEffect, type Transition, unchanged } from './effects.js';
import type { RolloutEventOf } from './events.js';
import { addTelemetry, NO_EVIDENCE } from './evidence.js';
import { settleRollback } from './rolling-back.js';
import {
  adaptersToWithdraw,
  expectedOf,
  findClient,
  isWatched,
  type RolloutClient,
  type RolloutState,
  withClient,
} from './state.js';
import { fillStep } from './stepping.js';

type Report = RolloutEventOf<'telemetry'> | RolloutEventOf<'confirm'>;

/** @throws RefusedError `rollout.client-not-enrolled` */
export function takeReport(state: RolloutState, report: Report): Transition {
  const client = findClient(state, report.client);
  if (client === undefined || !client.enrolled) {
    throw new RefusedError(
      'rollout.client-not-enrolled',
      `Client "${report.client}" is ${client === undefined ? 'unknown to' : 'revoked in'} this rollout: its report does ` +
        'not count.',
    );
  }
  if (report.sequence <= client.sequence) return unchanged(state);
  const isNewer = adaptersToWithdraw(state.plan).includes(report.runs.adapterFingerprint);
  const told: RolloutClient = {
    ...client,
    ...evidenceOf(state, client, report),
    sequence: report.sequence,
    reported: report.runs,
    lastSeenMs: state.clock.nowMs,
    exposed: client.exposed || isNewer,
  };
  const effects = isNewer ? answerUnexpected(state, client, report) : [];
  return andThen({ state: withClient(state, told), effects }, settleRollback);
}

/** Telemetry counts only from a client that was offered the release, and says that it is of that release. */
function evidenceOf(
  state: RolloutState,
  client: RolloutClient,
  report: Report,
): Pick<RolloutClient, 'window' | 'telemetryMs'> {
  if (report.type !== 'telemetry' || !client.offered || !isWatched(state.phase)) return {};
  if (!isSameRelease(state.plan.release, report.runs)) return {};
  return {
    window: addTelemetry(client.window ?? NO_EVIDENCE, report.telemetry),
    telemetryMs: state.clock.observedMs,
  };
}

/** Once each time that a client comes to run what it should not. */
function answerUnexpected(state: RolloutState, client: RolloutClient, { runs }: Report): RolloutEffect[] {
  const isExpected = expectedOf(state, client)?.adapterFingerprint === runs.adapterFingerprint;
  if (isExpected || client.reported?.adapterFingerprint === runs.adapterFingerprint) return [];
  const alert = alertOf({ code: 'unexpected-release', client: client.id, runs });
  return [alert, ...offerRollback(state, client)];
}

function offerRollback({ rollback }: RolloutState, { id }: RolloutClient): RolloutEffect[] {
  if (rollback?.release === undefined) return [];
  return [{ type: 'offer-release', release: rollback.release, clients: [id] }];
}

/**
 * A client that joined, or came back. It enters the steps if the release was encrypted to it; otherwise it waits for the
 * next release.
 *
 * @throws RefusedError `rollout.too-many-clients`
 */
export function enrolClient(
  state: RolloutState,
  { client: id, recipient }: RolloutEventOf<'enrolled'>,
): Transition {
  const known = findClient(state, id);
  if (known?.enrolled === true && known.recipient === (recipient || known.offered)) return unchanged(state);
  if (known === undefined) return fillStep(withNewClient(state, id, recipient));
  const returned: RolloutClient = {
    ...known,
    enrolled: true,
    recipient: recipient || known.offered,
    // A client that was revoked comes back with another key, and may count from the start.
    sequence: known.enrolled ? known.sequence : -1,
  };
  const effects = returned.exposed ? offerRollback(state, returned) : [];
  return andThen({ state: withClient(state, returned), effects }, fillStep);
}

function withNewClient(state: RolloutState, id: string, recipient: boolean): RolloutState {
  if (state.clients.length >= MAX_CLIENTS) {
    throw new RefusedError(
      'rollout.too-many-clients',
      `A rollout follows ${MAX_CLIENTS} clients at most, revoked ones included. "${id}" gets the next release.`,
    );
  }
  const client = { id, enrolled: true, recipient, offered: false, exposed: false, sequence: -1 };
  return { ...state, clients: [...state.clients, client] };
}

/** Nobody waits for a revoked client: it gets no release any more, not even the one that goes back. */
export function revokeClient(state: RolloutState, { client: id }: RolloutEventOf<'revoked'>): Transition {
  const known = findClient(state, id);
  if (known === undefined || !known.enrolled) return unchanged(state);
  return andThen(fillStep(withClient(state, { ...known, enrolled: false })), settleRollback);
}
