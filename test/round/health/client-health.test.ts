/** How well clients do their part. */
import { expect } from 'chai';
import fc from 'fast-check';
import {
  byPriority,
  type ClientHealth,
  DEFAULT_HEALTH_SETTINGS,
  decodeClientHealth,
  encodeClientHealth,
  healthScore,
  observe,
  suspensionOf,
  withSuspension,
} from '../../../lib/round/health/client-health.js';
import { OBSERVATIONS, type Observation } from '../../../lib/round/health/observations.js';
import { expectRefusal } from '../../support/refusals.js';

function healthAfter(kinds: readonly Observation[], firstRound = 1): ClientHealth {
  let health: ClientHealth | undefined;
  for (const [i, kind] of kinds.entries()) health = observe(health, firstRound + i, kind);
  return health as ClientHealth;
}

function repeated(kind: Observation, times: number): Observation[] {
  return new Array<Observation>(times).fill(kind);
}

describe("a client's health", () => {
  it('starts at 0.75, rises with success and falls with everything else, most with rejections', () => {
    expect(healthScore(undefined, 1)).to.equal(0.75);
    const [success, late, absent, rejected] = OBSERVATIONS.map((kind) => healthScore(healthAfter([kind]), 1));
    expect([success, late, absent, rejected]).to.deep.equal([0.875, 0.625, 0.5, 0.375]);
  });

  it('counts an observation half after the half-life', () => {
    const health = observe(undefined, 1, 'rejected', { ...DEFAULT_HEALTH_SETTINGS, halfLifeRounds: 4 });
    const later = observe(health, 5, 'success', { ...DEFAULT_HEALTH_SETTINGS, halfLifeRounds: 4 });
    expect(later.counts).to.deep.equal({ success: 1, late: 0, absent: 0, rejected: 0.5 });
  });

  it('counts each round once, whatever comes again', () => {
    const health = healthAfter(['success', 'late']);
    expect(observe(health, 2, 'rejected')).to.equal(health);
    expect(observe(health, 1, 'success')).to.equal(health);
  });

  it('stays between 0 and 1, and what is worse never scores more', () => {
    const kind = fc.constantFrom(...OBSERVATIONS);
    fc.assert(
      fc.property(fc.array(kind, { minLength: 1, maxLength: 40 }), fc.nat(39), (kinds, at) => {
        const round = kinds.length;
        const score = healthScore(healthAfter(kinds), round);
        expect(score).to.be.within(0, 1);
        const worse = kinds.map((one, i): Observation => (i === at ? 'rejected' : one));
        expect(healthScore(healthAfter(worse), round)).to.be.at.most(score);
      }),
      { numRuns: 100 },
    );
  });

  it('suspends for rejections, after three rounds and not before', () => {
    const verdicts = [1, 2, 3].map((n) => suspensionOf(healthAfter(repeated('rejected', n)), n));
    expect(verdicts).to.deep.equal(['keep', 'keep', 'suspend']);
    const strict = { ...DEFAULT_HEALTH_SETTINGS, suspendBelow: 0.4 };
    const early = [1, 2, 3].map((n) => suspensionOf(healthAfter(repeated('rejected', n)), n, strict));
    expect(early).to.deep.equal(['keep', 'keep', 'suspend']);
  });

  it('never suspends for absence or lateness alone', () => {
    for (const kind of ['absent', 'late'] as const) {
      expect(suspensionOf(healthAfter(repeated(kind, 500)), 500)).to.equal('keep');
    }
  });

  it('lets a suspended client come back after some rounds, and suspends it again sooner', () => {
    const bad = healthAfter(repeated('rejected', 6));
    const suspended = withSuspension(bad, true);
    const resumed = Array.from({ length: 200 }, (_, i) => 6 + i).find(
      (round) => suspensionOf(suspended, round) === 'resume',
    );
    expect(resumed).to.be.within(10, 60);
    const back = withSuspension(suspended, false);
    expect(suspensionOf(back, resumed as number)).to.equal('keep');
    let again = back;
    let needed = 0;
    while (suspensionOf(again, (resumed as number) + needed) !== 'suspend') {
      again = observe(again, (resumed as number) + needed, 'rejected');
      needed++;
    }
    expect(needed).to.be.below(4);
  });

  it('does not change its mind between the two thresholds', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...OBSERVATIONS), { minLength: 1, maxLength: 30 }), (kinds) => {
        const health = healthAfter(kinds);
        const score = healthScore(health, kinds.length);
        if (score < DEFAULT_HEALTH_SETTINGS.suspendBelow || score > DEFAULT_HEALTH_SETTINGS.resumeAbove)
          return;
        expect(suspensionOf(health, kinds.length)).to.equal('keep');
        expect(suspensionOf(withSuspension(health, true), kinds.length)).to.equal('keep');
      }),
    );
  });

  it('orders clients by it, and those alike otherwise from round to round', () => {
    const fleet = [
      { client: 'rejected', health: healthAfter(['rejected']) },
      { client: 'new-1' },
      { client: 'good', health: healthAfter(['success']) },
      { client: 'new-2' },
      { client: 'late', health: healthAfter(['late']) },
    ];
    const orders = Array.from({ length: 20 }, (_, i) => byPriority(fleet, 2 + i));
    for (const order of orders) {
      expect(order[0]).to.equal('good');
      expect(order.slice(1, 3)).to.have.members(['new-1', 'new-2']);
      expect(order.slice(3)).to.deep.equal(['late', 'rejected']);
    }
    expect(new Set(orders.map((order) => order[1])).size).to.equal(2);
    expect(byPriority([...fleet].reverse(), 2)).to.deep.equal(orders[0]);
  });

  it('refuses thresholds that would suspend and admit in turn, or never admit again', async () => {
    for (const changes of [{ resumeAbove: 0.2 }, { resumeAbove: 0.75 }, { halfLifeRounds: 0 }]) {
      await expectRefusal('health.bad-settings', () =>
        observe(undefined, 1, 'late', { ...DEFAULT_HEALTH_SETTINGS, ...changes }),
      );
    }
  });

  it('is read as it was stored, and refused where it was damaged', async () => {
    const health = healthAfter(['success', 'late', 'rejected']);
    expect(decodeClientHealth(encodeClientHealth(health))).to.deep.equal(health);
    for (const damaged of [
      {},
      { ...health, schemaVersion: 2 },
      { ...health, counts: { ...health.counts, late: -1 } },
      { ...health, lastRound: 0 },
      { ...health, more: 1 },
    ]) {
      const bytes = new TextEncoder().encode(JSON.stringify(damaged));
      await expectRefusal('health.malformed', () => decodeClientHealth(bytes));
    }
    await expectRefusal('health.malformed', () => decodeClientHealth(new Uint8Array([0xff])));
  });
});
