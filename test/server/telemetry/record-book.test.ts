import { expect } from 'chai';
import { KEPT_RECORDS, RecordBook } from '../../../lib/server/telemetry/record-book.js';
import { openStore } from '../../../lib/store/open-store.js';
import type { Store } from '../../../lib/store/store.js';
import { privacyRecord } from '../../observability/support/records.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

describe('the newest records', () => {
  let store: Store;
  beforeEach(async () => {
    store = await openStore({ kind: 'embedded', directory: await temporaryDirectory() });
  });
  afterEach(() => store.close());

  it('are kept by id, the later one in place of the earlier', async () => {
    const book = new RecordBook(store.state);
    await book.put(privacyRecord({ atMs: 2000, epsilonSpent: 3 }));
    await book.put(privacyRecord({ atMs: 1000, epsilonSpent: 2 }));
    expect(await book.newest(10)).to.deep.equal([privacyRecord({ atMs: 2000, epsilonSpent: 3 })]);
  });

  it('are seen by every server of the store, the newest first, and those of one kind alone where that is asked for', async () => {
    const [one, other] = [new RecordBook(store.state), new RecordBook(store.state)];
    await one.put(privacyRecord({ id: 'a', atMs: 1000 }));
    expect((await other.newest(10)).map(({ id }) => id)).to.deep.equal(['a']);
    await one.put(privacyRecord({ id: 'b', atMs: 3000 }));
    await other.put(privacyRecord({ id: 'c', atMs: 2000 }));
    expect((await one.newest(10)).map(({ id }) => id)).to.deep.equal(['b', 'c', 'a']);
    expect((await one.newest(2)).map(({ id }) => id)).to.deep.equal(['b', 'c']);
    expect(await one.newest(10, 'round')).to.deep.equal([]);
    expect((await one.newest(10, 'privacy')).length).to.equal(3);
  });

  it('push out the oldest of their kind, in the store as well', async () => {
    const book = new RecordBook(store.state, { ...KEPT_RECORDS, privacy: 20 });
    for (let i = 0; i < 100; i += 1) await book.put(privacyRecord({ id: `p${i}`, atMs: 1000 + i }));
    const kept = await book.newest(1000);
    // A few more than that, until it is looked at again.
    expect(kept.length).to.be.within(20, 36);
    expect(kept.map(({ id }) => id)).to.deep.equal(kept.map((_, i) => `p${99 - i}`));
    let keys = 0;
    for await (const _ of store.state.list('record')) keys += 1;
    expect(keys).to.equal(kept.length);
  });
});
