import { join } from 'node:path';
import { expect } from 'chai';
import { HealthBook } from '../../lib/server/rounds/health-book.js';
import { openStore } from '../../lib/store/open-store.js';
import type { Store } from '../../lib/store/store.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

/** A fingerprint. */
const planOf = (round: number): string => round.toString(16).padStart(64, '0');

describe('the book of clients’ health', () => {
  let store: Store;
  let book: HealthBook;
  const clients = ['robot-1', 'robot-2', 'robot.3', 'robot_d3'];

  beforeEach(async () => {
    store = await openStore({ kind: 'embedded', directory: join(await temporaryDirectory(), 'store') });
    book = new HealthBook(store.state);
  });
  afterEach(() => store.close());

  async function rounds(
    count: number,
    kinds: Readonly<Record<string, 'success' | 'rejected'>>,
  ): Promise<void> {
    for (let round = 1; round <= count; round += 1) {
      const observations = Object.entries(kinds).map(([client, kind]) => ({ client, kind }));
      await book.record({ plan: planOf(round), policy: 'p', round, observations });
    }
  }

  it('leaves out whose updates do not hold, and takes them back after a time', async () => {
    await rounds(6, {
      'robot-1': 'rejected',
      'robot-2': 'success',
      'robot.3': 'success',
      robot_d3: 'success',
    });
    expect(await book.eligible('p', 7, clients, 3)).to.have.members(['robot-2', 'robot.3', 'robot_d3']);
    expect(await book.eligible('p', 60, clients, 3)).to.have.members(clients);
    // Of another policy nothing is known.
    expect(await book.eligible('q', 7, clients, 3)).to.have.members(clients);
  });

  it('takes them all the same where the quorum needs them, last', async () => {
    await rounds(6, {
      'robot-1': 'rejected',
      'robot-2': 'success',
      'robot.3': 'success',
      robot_d3: 'success',
    });
    const all = await book.eligible('p', 7, clients, 4);
    expect(all).to.have.members(clients);
    expect(all.at(-1)).to.equal('robot-1');
  });

  it('counts a round once, and tells clients apart whose names look alike in a key', async () => {
    await book.record({
      plan: planOf(1),
      policy: 'p',
      round: 1,
      observations: [{ client: 'robot.3', kind: 'rejected' }],
    });
    const before = await book.of('p', 'robot.3');
    await book.record({
      plan: planOf(1),
      policy: 'p',
      round: 1,
      observations: [{ client: 'robot.3', kind: 'rejected' }],
    });
    expect(await book.of('p', 'robot.3')).to.deep.equal(before);
    expect(await book.of('p', 'robot_d3')).to.equal(undefined);
  });

  it('goes on with a round that it had begun to record when its process died', async () => {
    const observations = clients.map((client) => ({ client, kind: 'rejected' as const }));
    const { state } = store;
    let writes = 0;
    const dying = new HealthBook({
      get: (key) => state.get(key),
      update: (key, value, revision) => state.update(key, value, revision),
      remove: (key, revision) => state.remove(key, revision),
      list: (prefix) => state.list(prefix),
      watch: (prefix, options) => state.watch(prefix, options),
      lastRevision: () => state.lastRevision(),
      create: async (key, value) => {
        writes += 1;
        if (writes > 2) throw new Error('killed');
        return state.create(key, value);
      },
    });
    const round = { plan: planOf(1), policy: 'p', round: 1, observations };
    await dying.record(round).catch(() => undefined);
    expect(await book.of('p', 'robot-2')).to.not.equal(undefined);
    expect(await book.of('p', 'robot_d3')).to.equal(undefined);
    await book.record(round);
    for (const client of clients) {
      expect((await book.of('p', client))?.counts).to.include({ rejected: 1, success: 0 });
    }
  });

  it('does not look at clients again for a round that it has recorded', async () => {
    const round = { plan: planOf(1), policy: 'p', round: 1 };
    await book.record({ ...round, observations: [{ client: 'robot-1', kind: 'success' }] });
    await book.record({ ...round, observations: [{ client: 'robot-2', kind: 'success' }] });
    expect(await book.of('p', 'robot-2')).to.equal(undefined);
  });
});
