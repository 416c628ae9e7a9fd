import { join } from 'node:path';
import { expect } from 'chai';
import { HealthBook } from '../../lib/server/rounds/health-book.js';
import { openStore } from '../../lib/store/open-store.js';
import type { Store } from '../../lib/store/store.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

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
      await book.record({ policy: 'p', round, observations });
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
    await book.record({ policy: 'p', round: 1, observations: [{ client: 'robot.3', kind: 'rejected' }] });
    const before = await book.of('p', 'robot.3');
    await book.record({ policy: 'p', round: 1, observations: [{ client: 'robot.3', kind: 'rejected' }] });
    expect(await book.of('p', 'robot.3')).to.deep.equal(before);
    expect(await book.of('p', 'robot_d3')).to.equal(undefined);
  });
});
