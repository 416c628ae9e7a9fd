/** A round to send events to, which is stored and read again between any two of them. */
import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { dueAtMs } from '../../../../lib/round/machine/deadlines.js';
import type { RoundEffect } from '../../../../lib/round/machine/effects.js';
import { type EventOf, type RoundEvent, roundEventSchema } from '../../../../lib/round/machine/events.js';
import type { RoundSettings } from '../../../../lib/round/machine/settings.js';
import {
  acceptedUpdates,
  decodeRoundState,
  digestOfSet,
  encodeRoundState,
  plannedRound,
  type RoundState,
  sentUpdates,
} from '../../../../lib/round/machine/state.js';
import { type Step, stepRound } from '../../../../lib/round/machine/step.js';

export const PLANNED_MS = 1_000_000;
export const OPENS_MS = 2_000_000;
export const DEADLINE_MS = 4_000_000;
export const LEASE_MS = 60_000;
export const ANSWER_WINDOW_MS = 600_000;
export const BURNT = 'open.residual-too-large: a residual of 99 exceeds the limit of 9';

export function fingerprint(name: string): string {
  return createHash('sha256').update(name).digest('hex');
}

export function clients(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `client-${i + 1}`);
}

export function settings(changes: Partial<RoundSettings> = {}): RoundSettings {
  return {
    key: { fleet: 'fleet', policy: 'policy', cohort: 'cohort', round: 7 },
    plan: fingerprint('plan'),
    opensAtMs: OPENS_MS,
    deadlineMs: DEADLINE_MS,
    quorum: 3,
    maxClients: 5,
    threshold: 2,
    custodians: ['custodian-1', 'custodian-2', 'custodian-3'],
    eligible: clients(5),
    secondUpdate: 'refuse',
    maxStalenessRounds: 4,
    roundIntervalSeconds: 3600,
    sumLeaseMs: LEASE_MS,
    maxSumAttempts: 3,
    answerWindowMs: ANSWER_WINDOW_MS,
    ...changes,
  };
}

/** The state as another process reads it. */
export function restarted(state: RoundState): RoundState {
  const read = decodeRoundState(encodeRoundState(state));
  expect(read).to.deep.equal(state);
  return read;
}

export class TestRound {
  state: RoundState;
  /** Of all events so far. */
  readonly effects: RoundEffect[] = [];
  nowMs = PLANNED_MS;

  constructor(changes: Partial<RoundSettings> = {}) {
    this.state = plannedRound(settings(changes), PLANNED_MS);
  }

  /** One that is open. */
  static opened(changes: Partial<RoundSettings> = {}): TestRound {
    const round = new TestRound(changes);
    round.passTo(OPENS_MS);
    return round;
  }

  /** One whose first `senders` clients have sent, at its deadline. */
  static sealedOff(senders = 4, changes: Partial<RoundSettings> = {}): TestRound {
    const round = TestRound.opened(changes);
    for (const client of clients(senders)) round.receive(client);
    round.passTo(DEADLINE_MS);
    return round;
  }

  /** One that waits for answers, all updates accepted but those of `refused`. */
  static summed(senders = 4, refused: string[] = [], changes: Partial<RoundSettings> = {}): TestRound {
    const round = TestRound.sealedOff(senders, changes);
    round.claim();
    round.finish(refused);
    return round;
  }

  send(event: RoundEvent): Step {
    const result = stepRound(restarted(this.state), roundEventSchema.parse(event));
    this.state = restarted(result.state);
    this.effects.push(...result.effects);
    return result;
  }

  /** The code that an event is refused with. */
  refusal(event: RoundEvent): string {
    const { outcome, refusal } = this.send(event);
    expect(outcome).to.equal('refused');
    return refusal?.code ?? '';
  }

  passTo(atMs: number): Step {
    this.nowMs = atMs;
    return this.send({ type: 'time', atMs });
  }

  /** Lets the time come that the round waits for. */
  passToTimer(): Step {
    const due = dueAtMs(this.state);
    if (due === undefined) throw new Error(`nothing is due in the phase ${this.state.phase}`);
    return this.passTo(Math.max(due, this.nowMs));
  }

  received(client: string, update = client): EventOf<'update-received'> {
    return { type: 'update-received', atMs: this.nowMs, client, fingerprint: fingerprint(update) };
  }

  receive(client: string, update = client): Step {
    return this.send(this.received(client, update));
  }

  claim(worker = 'worker-1', attempt = this.state.sum?.attempt ?? 1): Step {
    return this.send({ type: 'sum-claimed', atMs: this.nowMs, worker, attempt });
  }

  finished(refusedClients: readonly string[] = [], worker = 'worker-1'): EventOf<'sum-finished'> {
    const sent = sentUpdates(this.state);
    return {
      type: 'sum-finished',
      atMs: this.nowMs,
      worker,
      aggregate: fingerprint(`aggregate of ${worker}`),
      accepted: sent
        .filter(({ client }) => !refusedClients.includes(client))
        .map(({ update }) => update.fingerprint),
      refused: sent
        .filter(({ client }) => refusedClients.includes(client))
        .map(({ update }) => ({
          fingerprint: update.fingerprint,
          code: 'update.bad-shares',
          reason: 'a share does not open',
        })),
    };
  }

  finish(refusedClients: readonly string[] = [], worker = 'worker-1'): Step {
    return this.send(this.finished(refusedClients, worker));
  }

  answered(custodian: string, answer = custodian): EventOf<'answer-received'> {
    return {
      type: 'answer-received',
      atMs: this.nowMs,
      custodian,
      fingerprint: fingerprint(answer),
      set: this.state.aggregate?.set ?? fingerprint('no set'),
    };
  }

  answer(custodian: string, answer = custodian): Step {
    return this.send(this.answered(custodian, answer));
  }

  /** The close record of an opened round. */
  closedOpened(): EventOf<'closed'> {
    const opened = acceptedUpdates(this.state).map(({ update }) => update.fingerprint);
    return {
      type: 'closed',
      atMs: this.nowMs,
      record: fingerprint('close record'),
      opened,
      ...(opened.length > 0 && { set: digestOfSet(opened) }),
    };
  }

  closedNone(reason: string): EventOf<'closed'> {
    return { type: 'closed', atMs: this.nowMs, record: fingerprint('close record'), opened: [], reason };
  }

  /** The effects of one type, of all events so far. */
  effectsOf<Type extends RoundEffect['type']>(type: Type): Extract<RoundEffect, { type: Type }>[] {
    return this.effects.filter(
      (effect): effect is Extract<RoundEffect, { type: Type }> => effect.type === type,
    );
  }
}

/** The types of a step's effects, in their order. */
export function typesOf({ effects }: Pick<Step, 'effects'>): string[] {
  return effects.map(({ type }) => type);
}
