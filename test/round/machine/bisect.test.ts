/** How a cohort that somebody spoils is halved until few are left. */
import { expect } from 'chai';
import fc from 'fast-check';
import { bisect, isBurntReason, type SpoiltRound, suspects } from '../../../lib/round/machine/bisect.js';
import type { Lineage } from '../../../lib/round/machine/settings.js';
import { stepThrough } from '../../../lib/round/machine/step.js';
import { BURNT, clients, TestRound } from './support/test-round.js';

const KEY = { fleet: 'fleet', policy: 'policy', cohort: 'cohort', round: 7 };

function spoilt(changes: Partial<SpoiltRound> = {}): SpoiltRound {
  return { key: KEY, quorum: 3, summed: clients(10), others: [], ...changes };
}

interface Cohort {
  readonly cohort: string;
  readonly clients: readonly string[];
  readonly round: number;
  readonly lineage?: Lineage;
}

/** What one round of a cohort comes to. */
interface Played {
  readonly halves: readonly Cohort[];
  readonly suspects: readonly string[];
  readonly cleared: boolean;
}

/** A round of a cohort in which everybody sends, and which only a sum without the culprit opens. */
function play(cohort: Cohort, culprit: string, quorum: number): Played {
  const round = TestRound.opened({
    key: { ...KEY, cohort: cohort.cohort, round: cohort.round },
    eligible: cohort.clients,
    maxClients: cohort.clients.length,
    quorum,
    ...(cohort.lineage !== undefined && { lineage: cohort.lineage }),
  });
  // At once: only the end of these rounds is looked at.
  round.state = stepThrough(
    round.state,
    cohort.clients.map((client) => round.received(client)),
  ).state;
  round.finish();
  const isSpoilt = cohort.clients.includes(culprit);
  round.send(isSpoilt ? round.closedNone(BURNT) : round.closedOpened());
  return {
    halves: round
      .effectsOf('bisect')
      .flatMap(({ cohorts }) => cohorts.map((half) => ({ ...half, round: cohort.round + 1 }))),
    suspects: suspects(round.state),
    cleared: round.state.phase === 'opened',
  };
}

describe('bisection', () => {
  it('splits alike whatever the order of the clients', () => {
    const [first, second] = bisect(spoilt()) ?? [];
    const [third, fourth] = bisect(spoilt({ summed: clients(10).reverse() })) ?? [];
    expect([third, fourth]).to.deep.equal([first, second]);
    expect(first?.clients).to.have.lengthOf(5);
  });

  it('splits otherwise in another round', () => {
    const halves = [7, 8, 9, 10].map((round) =>
      bisect(spoilt({ key: { ...KEY, round } }))?.[0].clients.join(),
    );
    expect(new Set(halves).size).to.be.greaterThan(1);
  });

  it('keeps clients who were not in the sum, without counting them for the quorum', () => {
    const others = ['absent-1', 'absent-2', 'absent-3'];
    const [first, second] = bisect(spoilt({ summed: clients(7), others })) ?? [];
    expect([...(first?.clients ?? []), ...(second?.clients ?? [])]).to.have.members([
      ...clients(7),
      ...others,
    ]);
    expect([first?.clients.length, second?.clients.length]).to.deep.equal([5, 5]);
    expect(bisect(spoilt({ summed: clients(5), others }))).to.equal(undefined);
  });

  it('names the halves after the cohort, and remembers where they came from', () => {
    const [, second] = bisect(spoilt({ key: { ...KEY, cohort: 'line.2' } })) ?? [];
    expect(second?.cohort).to.equal('line.2.2');
    expect(second?.lineage).to.deep.equal({ root: 'line.2', depth: 1 });
    const key = { ...KEY, cohort: 'line.2.2' };
    expect(bisect(spoilt({ key, lineage: { root: 'line.2', depth: 1 } }))?.[0].lineage).to.deep.equal({
      root: 'line.2',
      depth: 2,
    });
  });

  it('ends where names or depth run out', () => {
    expect(bisect(spoilt({ key: { ...KEY, cohort: 'c'.repeat(62) } }))?.[0].cohort).to.have.lengthOf(64);
    expect(bisect(spoilt({ key: { ...KEY, cohort: 'c'.repeat(63) } }))).to.equal(undefined);
    expect(bisect(spoilt({ lineage: { root: 'cohort', depth: 16 } }))).to.equal(undefined);
  });

  it('is for the codes of the owner’s own checks alone', () => {
    expect(isBurntReason('open.residual-too-large: a residual of 9')).to.equal(true);
    expect(isBurntReason('open.secret-sum-out-of-range')).to.equal(true);
    expect(isBurntReason('open.no-consistent-answers: none')).to.equal(true);
    expect(isBurntReason('open.sum-shifted: the aggregator changed it')).to.equal(false);
    expect(isBurntReason('see open.residual-too-large')).to.equal(false);
    expect(isBurntReason('open.residual-too-largest')).to.equal(false);
  });

  it('sends a cleared half back to where it came from', () => {
    const round = TestRound.opened({
      key: { ...KEY, cohort: 'cohort.1' },
      lineage: { root: 'cohort', depth: 1 },
    });
    for (const client of clients(5)) round.receive(client);
    round.finish();
    round.send(round.closedOpened());
    expect(round.effectsOf('plan-next').map(({ cohort }) => cohort)).to.deep.equal(['cohort']);
  });

  it('plans a half that ended without a verdict again', () => {
    const round = TestRound.opened({
      key: { ...KEY, cohort: 'cohort.1' },
      lineage: { root: 'cohort', depth: 1 },
    });
    round.passToTimer();
    round.send(round.closedNone('too few came'));
    expect(round.effectsOf('plan-next').map(({ cohort }) => cohort)).to.deep.equal(['cohort.1']);
  });

  it('leaves fewer than two quorums of suspects after log2(N / quorum) rounds, and clears all others', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 6 }).chain((quorum) =>
          fc.record({
            quorum: fc.constant(quorum),
            fleet: fc.integer({ min: quorum, max: 60 }),
            bad: fc.nat(),
            round: fc.integer({ min: 1, max: 1_000 }),
          }),
        ),
        ({ quorum, fleet, bad, round: firstRound }) => {
          const everyone = clients(fleet);
          const culprit = everyone[bad % fleet] as string;
          let cohorts: Cohort[] = [{ cohort: 'cohort', clients: everyone, round: firstRound }];
          const cleared = new Set<string>();
          let suspected: readonly string[] = [];
          let rounds = 0;
          for (; cohorts.length > 0; rounds++) {
            const next: Cohort[] = [];
            for (const cohort of cohorts) {
              expect(cohort.clients.length).to.be.at.least(quorum);
              const played = play(cohort, culprit, quorum);
              next.push(...played.halves);
              if (played.cleared) for (const client of cohort.clients) cleared.add(client);
              if (played.suspects.length > 0 && played.halves.length === 0) suspected = played.suspects;
            }
            cohorts = next;
          }
          expect(suspected).to.include(culprit);
          expect(suspected.length).to.be.below(2 * quorum);
          expect([...cleared, ...suspected]).to.have.members(everyone);
          expect(rounds).to.be.at.most(Math.ceil(Math.log2(fleet / quorum)) + 1);
        },
      ),
      { numRuns: 25 },
    );
  });
});
