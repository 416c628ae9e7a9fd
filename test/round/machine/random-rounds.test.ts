/** What holds in every round, whatever happens to it. */
import { isDeepStrictEqual } from 'node:util';
import { expect } from 'chai';
import fc from 'fast-check';
import { dueAtMs, passTime } from '../../../lib/round/machine/deadlines.js';
import { outstandingEffects, type RoundEffect } from '../../../lib/round/machine/effects.js';
import type { RoundEvent } from '../../../lib/round/machine/events.js';
import { hasEnded, isBefore, PHASES, type Phase } from '../../../lib/round/machine/phases.js';
import {
  acceptedUpdates,
  decodeRoundState,
  encodeRoundState,
  FAILURE_CODES,
  plannedRound,
  type RoundState,
  sentUpdates,
} from '../../../lib/round/machine/state.js';
import { type Step, stepRound, stepThrough } from '../../../lib/round/machine/step.js';
import { intents, World } from './support/random-events.js';
import { clients, fingerprint, PLANNED_MS, settings } from './support/test-round.js';

const anySettings = fc
  .record({
    secondUpdate: fc.constantFrom('replace' as const, 'refuse' as const),
    maxClients: fc.integer({ min: 3, max: 5 }),
    quorum: fc.integer({ min: 2, max: 3 }),
    threshold: fc.integer({ min: 1, max: 3 }),
  })
  .map((changes) => plannedRound(settings({ ...changes, eligible: clients(5) }), PLANNED_MS));

/** Watches a round from its planning to its end. */
class Witness {
  readonly phases = new Set<Phase>(['planned']);
  /** Fingerprints that the round has acknowledged, by client. */
  readonly acknowledged = new Map<string, Set<string>>();

  watch(before: RoundState, event: RoundEvent, result: Step): void {
    const { state, outcome, effects } = result;
    if (event.type === 'partial-sum-received') {
      const updates = event.contributors.map((one) => one.fingerprint).sort();
      this.partialSums.set(event.fingerprint, updates);
    }
    this.phases.add(state.phase);
    this.#movesForward(before, state);
    this.#isConsistent(state);
    if (outcome === 'refused') this.#refusalChangesNothing(before, event, result);
    else this.#isIdempotent(state, event);
    if (outcome === 'repeated') expectSame(effects, []);
    if (outcome !== 'refused') {
      for (const { client, fingerprint: sent } of sentBy(event)) {
        this.acknowledged.set(client, (this.acknowledged.get(client) ?? new Set()).add(sent));
      }
    }
    if (state.phase !== before.phase) expect(effects.map(({ type }) => type)).to.include('publish');
    expectAmong(effects, state);
  }

  #movesForward(before: RoundState, after: RoundState): void {
    expect(isBefore(after.phase, before.phase), `${before.phase} to ${after.phase}`).to.equal(false);
    for (const once of ['sealed', 'aggregate', 'close', 'release'] as const) {
      if (before[once] !== undefined) expectSame(after[once], before[once]);
    }
    if (before.sealed !== undefined) {
      const fingerprints = (state: RoundState) => sentUpdates(state).map(({ update }) => update.fingerprint);
      expectSame(fingerprints(after), fingerprints(before));
    }
    if (before.aggregate !== undefined) {
      expectSame(acceptedUpdates(after), acceptedUpdates(before));
    }
    for (const answer of before.answers) expect(after.answers).to.deep.include(answer);
    if (before.close !== undefined) expectSame(after.members, before.members);
  }

  /** Each partial sum of which an update is in the set has all of its updates there: it cannot be taken apart. */
  readonly partialSums = new Map<string, readonly string[]>();

  #holdsWholePartialSums(state: RoundState): void {
    const senders = sentUpdates(state);
    for (const { update } of senders) {
      const { partialSum } = update.via ?? {};
      if (partialSum === undefined) continue;
      const together = senders.filter((one) => one.update.via?.partialSum === partialSum);
      expectSame(together.map((one) => one.update.fingerprint).sort(), this.partialSums.get(partialSum));
    }
  }

  #isConsistent(state: RoundState): void {
    this.#holdsWholePartialSums(state);
    const { quorum, maxClients } = state.settings;
    expect(sentUpdates(state).length).to.be.at.most(maxClients);
    if (state.sealed !== undefined) expect(sentUpdates(state).length).to.be.at.least(quorum);
    if (state.aggregate !== undefined) expect(acceptedUpdates(state).length).to.be.at.least(quorum);
    expect(dueAtMs(state) === undefined).to.equal(hasEnded(state.phase));
    const types = outstandingEffects(state).map(({ type }) => type);
    expect(types.includes('set-timer')).to.equal(!hasEnded(state.phase));
    expect(types.includes('collect-garbage')).to.equal(state.close !== undefined);
    if (state.phase === 'failed') expect(state.failure?.message).to.be.a('string').that.is.not.empty;
  }

  #refusalChangesNothing(before: RoundState, event: RoundEvent, { state, refusal }: Step): void {
    expect(refusal?.code).to.match(/^round\./);
    expectSame(withoutNotes(state), withoutNotes(passTime(before, event.atMs)));
    if (hasEnded(before.phase)) expectSame(state, before);
  }

  #isIdempotent(state: RoundState, event: RoundEvent): void {
    const again = stepRound(state, event);
    expectSame(withoutCount(again.state), withoutCount(state));
  }

  /** Each acknowledged update is in the sum, or refused for a reason, or has made room for a later one. */
  accountsForAll(state: RoundState): void {
    for (const [client, fingerprints] of this.acknowledged) {
      const member = state.members.find((one) => one.client === client);
      for (const one of fingerprints) {
        if (member?.update?.fingerprint === one) {
          const isAccepted = acceptedUpdates(state).some(({ update }) => update.fingerprint === one);
          const reason = member.update.refused?.reason ?? state.failure?.message;
          expect(isAccepted || reason !== undefined, client).to.equal(true);
        } else {
          expect(member?.replaced, client).to.include(one.slice(0, 16));
          expect(this.acknowledged.get(client)).to.include(member?.update?.fingerprint);
        }
      }
    }
  }
}

function sentBy(event: RoundEvent): readonly { readonly client: string; readonly fingerprint: string }[] {
  if (event.type === 'update-received') return [event];
  return event.type === 'partial-sum-received' ? event.contributors : [];
}

function withoutNotes(state: RoundState) {
  const { refusals: _, ...rest } = withoutCount(state);
  return { ...rest, members: state.members.map(({ mark: _mark, ...member }) => member) };
}

/** Of refusals that are not listed nobody knows whether they come twice. */
function withoutCount({ unlistedRefusals: _, ...state }: RoundState) {
  return state;
}

/** Chai's own comparison of large objects takes most of the time. */
function expectSame(actual: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(actual, expected)) expect(actual).to.deep.equal(expected);
}

function expectAmong(effects: readonly RoundEffect[], state: RoundState): void {
  const outstanding = outstandingEffects(state);
  for (const effect of effects) {
    const isAsked = outstanding.some((one) => isDeepStrictEqual(one, effect));
    expect(isAsked, effect.type).to.equal(true);
  }
}

describe('rounds to which anything happens', () => {
  it('move forward, keep one set, one aggregate and one close record, and account for every update', () => {
    const ends = new Map<string, number>();
    const count = (what: string): unknown => ends.set(what, (ends.get(what) ?? 0) + 1);
    fc.assert(
      fc.property(anySettings, intents, (planned, wishes) => {
        const world = new World(PLANNED_MS);
        const witness = new Witness();
        let state = planned;
        const send = (event: RoundEvent): void => {
          const before = state;
          const result = stepRound(before, event);
          witness.watch(before, event, result);
          // Another process goes on with what this one has stored; reading checks both sets, and what each phase must have.
          state = decodeRoundState(encodeRoundState(result.state));
          expectSame(state, result.state);
        };
        for (const wish of wishes) {
          const event = world.next(state, wish);
          if (event !== undefined) send(event);
        }
        // Time alone ends what is left.
        let timers = 0;
        for (let due = dueAtMs(state); due !== undefined; due = dueAtMs(state)) {
          world.nowMs = Math.max(world.nowMs, due);
          send({ type: 'time', atMs: world.nowMs });
          timers++;
          expect(timers).to.be.at.most(3 + state.settings.maxSumAttempts);
        }
        expect(hasEnded(state.phase)).to.equal(true);
        witness.accountsForAll(state);
        for (const phase of witness.phases) count(phase);
        if (state.failure !== undefined) count(state.failure.code);
      }),
      { numRuns: 200 },
    );
    // Or the above was never put to the test.
    expect([...ends.keys()]).to.include.members([...PHASES, ...FAILURE_CODES]);
  });

  it('come to the same end when events that were taken come again, later, in any order', () => {
    fc.assert(
      fc.property(
        anySettings,
        intents,
        fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 30 }),
        (planned, wishes, copies) => {
          const world = new World(PLANNED_MS);
          const events: RoundEvent[] = [];
          const taken: number[] = [];
          let state = planned;
          for (const wish of wishes) {
            const event = world.next(state, wish);
            if (event === undefined) continue;
            const result = stepRound(state, event);
            if (result.outcome !== 'refused') taken.push(events.length);
            events.push(event);
            state = result.state;
          }
          const inserted = copies.flatMap(([which, where]) => {
            const from = taken[which % Math.max(1, taken.length)];
            return from === undefined ? [] : [{ from, at: from + 1 + (where % (events.length - from)) }];
          });
          const withCopies = events.flatMap((event, i) => [
            ...inserted.filter(({ at }) => at === i).map(({ from }) => events[from] as RoundEvent),
            event,
          ]);
          withCopies.push(
            ...inserted
              .filter(({ at }) => at === events.length)
              .map(({ from }) => events[from] as RoundEvent),
          );
          const again = stepThrough(planned, withCopies);
          expectSame(withoutCount(again.state), withoutCount(state));
        },
      ),
      { numRuns: 200 },
    );
  });

  it('are the same whether events are stored one by one or together', () => {
    fc.assert(
      fc.property(anySettings, intents, (planned, wishes) => {
        const world = new World(PLANNED_MS);
        const events: RoundEvent[] = [];
        const outcomes: string[] = [];
        let state = planned;
        for (const wish of wishes) {
          const event = world.next(state, wish);
          if (event === undefined) continue;
          const result = stepRound(state, event);
          events.push(event);
          outcomes.push(result.refusal?.code ?? result.outcome);
          state = result.state;
        }
        const together = stepThrough(planned, events);
        expectSame(together.state, state);
        expectSame(
          together.results.map(({ outcome, refusal }) => refusal?.code ?? outcome),
          outcomes,
        );
        expectAmong(together.effects, state);
      }),
      { numRuns: 100 },
    );
  });

  it('seal off the same set in whatever order their clients send', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(clients(5), { minLength: 3 }), (senders) => {
        const sealedSet = (order: readonly string[]) =>
          stepThrough(plannedRound(settings(), PLANNED_MS), [
            ...order.map(
              (client): RoundEvent => ({
                type: 'update-received',
                atMs: settings().opensAtMs,
                client,
                fingerprint: fingerprint(client),
              }),
            ),
            { type: 'time', atMs: settings().deadlineMs },
          ]).state.sealed?.set;
        expect(sealedSet(senders))
          .to.be.a('string')
          .and.equal(sealedSet([...senders].sort()));
      }),
      { numRuns: 50 },
    );
  });
});
