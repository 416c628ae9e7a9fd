import { randomInt } from 'node:crypto';
import { expect } from 'chai';
import { RoundIndex } from '../../../lib/server/rounds/round-index.js';
import { RoundService } from '../../../lib/server/rounds/round-service.js';
import { openStore } from '../../../lib/store/open-store.js';
import type { Store } from '../../../lib/store/store.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { closedRound, newRound } from '../support/rounds.js';

const NOW_MS = 1_700_000_000_000;
const MEMBERS = ['x', 'y', 'z'];

function planName(round: number): string {
  return round.toString(16).padStart(64, '0');
}

describe('the index of rounds', () => {
  let store: Store;
  let rounds: RoundService;
  let loaded: string[];

  beforeEach(async () => {
    store = await openStore({ kind: 'embedded', directory: await temporaryDirectory() });
    // Deadlines fire by the events of a test alone.
    rounds = new RoundService({ store, onError: () => undefined, now: () => NOW_MS });
    loaded = [];
  });
  afterEach(async () => {
    await rounds.close();
    await store.close();
  });

  function newIndex(): RoundIndex {
    return new RoundIndex(store.state, (plan) => {
      loaded.push(plan);
      return rounds.load(plan);
    });
  }

  async function close(round: number): Promise<void> {
    const plan = planName(round);
    await rounds.send(plan, { type: 'abort', reason: 'a test', atMs: NOW_MS });
    await rounds.send(plan, { type: 'closed', record: plan, opened: [], reason: 'a test', atMs: NOW_MS });
  }

  it('reads a round once, and again when it has changed', async () => {
    const index = newIndex();
    for (let round = 1; round <= 3; round += 1) {
      await rounds.create(planName(round), newRound(planName(round), 'all', round, MEMBERS, NOW_MS + round));
    }
    await index.refresh();
    expect(loaded.splice(0).sort()).to.deep.equal([1, 2, 3].map(planName));
    await index.refresh();
    expect(loaded).to.deep.equal([]);
    await close(2);
    await index.refresh();
    expect(loaded).to.deep.equal([planName(2)]);
    expect(index.summaries().map(({ round, phase }) => [round, phase])).to.deep.equal([
      [3, 'planned'],
      [2, 'failed'],
      [1, 'planned'],
    ]);
  });

  it('keeps the states of rounds that somebody may have to do with, and the newest of each sequence', async () => {
    const index = newIndex();
    for (let round = 1; round <= 4; round += 1) {
      for (const [i, cohort] of ['a', 'b'].entries()) {
        const plan = planName(10 * i + round);
        await rounds.create(plan, closedRound(plan, cohort, round, MEMBERS, NOW_MS + round));
      }
    }
    await rounds.create(planName(99), newRound(planName(99), 'a', 3, MEMBERS, NOW_MS));
    await index.refresh();
    const current = index.current().map(({ plan, isNewest }) => [plan, isNewest]);
    expect(current).to.have.deep.members([
      [planName(4), true],
      [planName(14), true],
      [planName(99), false],
    ]);
  });

  it('knows the last sixteen closed rounds of each client', async () => {
    const index = newIndex();
    await rounds.create(planName(1), closedRound(planName(1), 'a', 1, ['x', 'y'], NOW_MS));
    for (let round = 2; round <= 21; round += 1) {
      await rounds.create(
        planName(round),
        closedRound(planName(round), 'a', round, ['y', 'z'], NOW_MS + round),
      );
    }
    await index.refresh();
    const latest = Array.from({ length: 16 }, (_, i) => planName(21 - i));
    expect(index.closed('x').map(({ plan }) => plan)).to.deep.equal([planName(1)]);
    expect(index.closed('y').map(({ plan }) => plan)).to.deep.equal(latest);
    expect(index.closed().map(({ plan }) => plan)).to.deep.equal(latest);
    expect(index.closed('nobody')).to.deep.equal([]);
  });

  it('is after any changes what it would be if it were made anew', async () => {
    const index = newIndex();
    const seed: number[] = [];
    const draw = (below: number): number => {
      seed.push(randomInt(below));
      return seed.at(-1) as number;
    };
    const open: number[] = [];
    for (let round = 1; round <= 40; round += 1) {
      const plan = planName(round);
      const cohort = ['a', 'b', 'c'][draw(3)] as string;
      await rounds.create(plan, newRound(plan, cohort, 1 + draw(20), MEMBERS.slice(draw(2)), NOW_MS + round));
      open.push(round);
      if (draw(2) === 0) await close(open.splice(draw(open.length), 1)[0] as number);
      if (draw(3) === 0) await index.refresh();
    }
    await index.refresh();
    const anew = newIndex();
    await anew.refresh();
    const drawn = `drawn: ${seed.join()}`;
    expect(index.summaries(), drawn).to.deep.equal(anew.summaries());
    expect(plansOf(index), drawn).to.deep.equal(plansOf(anew));
    for (const client of [undefined, ...MEMBERS]) {
      expect(index.closed(client), drawn).to.deep.equal(anew.closed(client));
    }
  });
});

function plansOf(index: RoundIndex): string[] {
  return index
    .current()
    .map(({ plan, isNewest, state }) => `${plan} ${isNewest} ${state.phase}`)
    .sort();
}
