/** The longest state that events lead to, as hard to compress as its texts can be. */
import { createHash } from 'node:crypto';
import { expect } from 'chai';
import type { RoundEvent } from '../../../../lib/round/machine/events.js';
import { MAX_REASON_CHARACTERS } from '../../../../lib/round/machine/fields.js';
import { MAX_ROUND_CLIENTS } from '../../../../lib/round/machine/settings.js';
import {
  MAX_LISTED_REFUSALS,
  MAX_REPLACEMENTS,
  plannedRound,
  type RoundState,
} from '../../../../lib/round/machine/state.js';
import { stepRound } from '../../../../lib/round/machine/step.js';
import { BURNT, DEADLINE_MS, fingerprint, OPENS_MS, settings } from './test-round.js';

const CODE = `update.${'x'.repeat(57)}`;

function letters(seed: string, length = 64): string {
  const digest = (part: number) => createHash('sha512').update(`${part} ${seed}`).digest('base64url');
  return `x${digest(1)}${digest(2)}`.slice(0, length);
}

export function largestState(): RoundState {
  const eligible = Array.from({ length: MAX_ROUND_CLIENTS }, (_, i) => letters(`client ${i}`));
  const custodians = Array.from({ length: 255 }, (_, i) => letters(`custodian ${i}`));
  const planned = plannedRound(
    settings({
      key: { fleet: letters('f'), policy: letters('p'), cohort: letters('c'), round: 2 ** 32 - 1 },
      ...{ eligible, maxClients: MAX_ROUND_CLIENTS, quorum: 2, custodians, threshold: 255 },
    }),
    0,
  );
  // Updates are built in rather than sent: 4096 events on a state of this size take seconds.
  const sent = { ...planned, members: eligible.map(memberOf) };
  const set = {
    accepted: eligible.slice(0, 2).map(fingerprint),
    refused: eligible.slice(2).map(refusedInSum),
  };
  const summed = after(sent, [
    ...Array.from({ length: MAX_LISTED_REFUSALS }, (_, i) => refusedUpload(eligible[i] as string, i)),
    { type: 'time', atMs: DEADLINE_MS },
    {
      type: 'outliers-judged',
      atMs: DEADLINE_MS,
      action: 'refuse',
      flagged: eligible.map((client) => ({
        fingerprint: fingerprint(client),
        test: 't'.repeat(64),
        reason: 'r'.repeat(MAX_REASON_CHARACTERS),
      })),
    },
    {
      type: 'sum-finished',
      atMs: DEADLINE_MS,
      worker: letters('worker'),
      aggregate: fingerprint('aggregate'),
      ...set,
    },
  ]);
  const closed = after(summed, [
    ...custodians.map((custodian): RoundEvent => answerOf(custodian, summed)),
    {
      type: 'closed',
      atMs: DEADLINE_MS,
      record: fingerprint('record'),
      opened: [],
      reason: `${BURNT} ${'\u20ac'.repeat(1_900)}`,
    },
  ]);
  expect(closed.failure?.code).to.equal('burnt');
  expect(closed.answers).to.have.lengthOf(255);
  expect(closed.refusals).to.have.lengthOf(MAX_LISTED_REFUSALS);
  return closed;
}

function memberOf(client: string, i: number): RoundState['members'][number] {
  return {
    client,
    update: {
      fingerprint: fingerprint(client),
      receivedAtMs: 253_402_300_000_000 + i * 777,
      stalenessRounds: 2 ** 40 - i,
      via: { gateway: letters(`gateway ${i}`), partialSum: fingerprint(`partial sum ${i}`) },
      statistics: { gradientNormMean: 1 / (i + 3), gradientNormMax: Math.PI * i },
    },
    replaced: Array.from({ length: MAX_REPLACEMENTS }, (_, j) => fingerprint(`${i} ${j}`).slice(0, 16)),
    mark: 'turned-away',
  };
}

function refusedInSum(client: string) {
  return {
    fingerprint: fingerprint(client),
    code: CODE,
    reason: letters(`reason of ${client}`, MAX_REASON_CHARACTERS),
  };
}

function refusedUpload(client: string, i: number): RoundEvent {
  const { code, reason } = refusedInSum(client);
  return {
    type: 'update-refused',
    atMs: OPENS_MS,
    client,
    fingerprint: fingerprint(`bad ${i}`),
    code,
    reason,
  };
}

function answerOf(custodian: string, { aggregate }: RoundState): RoundEvent {
  return {
    type: 'answer-received',
    atMs: DEADLINE_MS,
    custodian,
    fingerprint: fingerprint(custodian),
    set: aggregate?.set ?? '',
  };
}

function after(state: RoundState, events: readonly RoundEvent[]): RoundState {
  return events.reduce((last, event) => stepRound(last, event).state, state);
}
