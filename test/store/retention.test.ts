import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { openEmbeddedStore } from '../../lib/store/embedded/embedded-store.js';
import { blobsToKeep, mayGo, type RetentionPolicy, type RoundBlobs } from '../../lib/store/retention.js';
import { sweepBlobs } from '../../lib/store/retention-sweep.js';
import type { Store } from '../../lib/store/store.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { sha256, text } from './support/values.js';

const digests = fc.array(
  fc.integer({ min: 0, max: 30 }).map((index) => sha256(text(`${index}`))),
  { maxLength: 6 },
);
const round: fc.Arbitrary<RoundBlobs> = fc.record({
  closedAtMs: fc.option(fc.integer({ min: 0, max: 12 }), { nil: undefined }),
  ciphertexts: digests,
  records: digests,
});
const rounds = fc.array(round, { maxLength: 8 });
const closedRounds = fc.integer({ min: 0, max: 9 });

function keep(history: readonly RoundBlobs[], kept: number): Set<string> {
  return blobsToKeep(history, { closedRounds: kept, graceMs: 0 });
}

function expectToHave(kept: ReadonlySet<string>, wanted: readonly string[]): void {
  for (const digest of wanted) expect(kept.has(digest)).to.equal(true);
}

describe('retention', () => {
  it('keeps every blob of a round that has no close record, and the records of all', () => {
    fc.assert(
      fc.property(rounds, closedRounds, (history, count) => {
        const kept = keep(history, count);
        for (const { closedAtMs, ciphertexts, records } of history) {
          expectToHave(kept, records);
          if (closedAtMs === undefined) expectToHave(kept, ciphertexts);
        }
      }),
    );
  });

  it('keeps the ciphertexts of the last rounds that were closed, as many as it says', () => {
    fc.assert(
      fc.property(rounds, closedRounds, (history, count) => {
        const kept = keep(history, count);
        for (const { closedAtMs, ciphertexts } of history) {
          if (closedAtMs === undefined) continue;
          const later = history.filter((other) => (other.closedAtMs ?? -1) > closedAtMs).length;
          if (later < count) expectToHave(kept, ciphertexts);
        }
      }),
    );
  });

  it('keeps nothing else', () => {
    fc.assert(
      fc.property(rounds, closedRounds, (history, count) => {
        const allowed = new Set(
          history.flatMap(({ closedAtMs, ciphertexts, records }) => {
            const later = history.filter((other) => (other.closedAtMs ?? -1) > (closedAtMs ?? 99)).length;
            return later < count || closedAtMs === undefined ? [...ciphertexts, ...records] : records;
          }),
        );
        expect(keep(history, count)).to.deep.equal(allowed);
      }),
    );
  });

  it('keeps what one round needs, whatever is closed or added beside it', () => {
    fc.assert(
      fc.property(rounds, round, closedRounds, (history, open, count) => {
        const unclosed = { ...open, closedAtMs: undefined };
        expectToHave(keep([...history, unclosed], count), open.ciphertexts);
      }),
    );
  });

  it('lets a blob go that nothing needs, once its grace is over', () => {
    const digest = sha256(text('blob'));
    const blob = { digest, sizeBytes: 4, storedAtMs: 100 };
    expect(mayGo(blob, new Set(), 101)).to.equal(true);
    expect(mayGo(blob, new Set(), 100)).to.equal(false);
    expect(mayGo(blob, new Set([digest]), 101)).to.equal(false);
  });

  it('refuses a policy that is none', async () => {
    for (const policy of [
      { closedRounds: -1, graceMs: 0 },
      { closedRounds: 1.5, graceMs: 0 },
      { closedRounds: 1, graceMs: Number.NaN },
      { closedRounds: 1, graceMs: -1 },
    ]) {
      await expectRefusal('store.bad-retention', () => blobsToKeep([], policy));
    }
  });
});

describe('a sweep', () => {
  const names = [
    'plan',
    'old update',
    'shared',
    'new update',
    'open update',
    'upload in progress',
    'garbage',
  ];
  const digest = (name: string): string => sha256(text(name));
  const history: readonly RoundBlobs[] = [
    { closedAtMs: 1, ciphertexts: ['old update', 'shared'].map(digest), records: [digest('plan')] },
    { closedAtMs: 2, ciphertexts: ['new update', 'shared'].map(digest), records: [] },
    { closedAtMs: undefined, ciphertexts: [digest('open update')], records: [] },
  ];
  let store: Store;

  beforeEach(async () => {
    store = await openEmbeddedStore(join(await temporaryDirectory(), 'data'));
    await store.blobs.putMany(names.map((name) => ({ digest: digest(name), bytes: text(name) })));
  });

  afterEach(() => store.close());

  async function left(): Promise<string[]> {
    const present = await Promise.all(names.map((name) => store.blobs.has(digest(name))));
    return names.filter((_, index) => present[index]);
  }

  async function sweep(policy: RetentionPolicy, read = async () => history) {
    return sweepBlobs(store, read, policy);
  }

  it('removes what retention lets go, and says how much', async () => {
    await new Promise((resolve) => setTimeout(resolve, 10));
    const report = await sweep({ closedRounds: 1, graceMs: 0 });
    expect(await left()).to.deep.equal(['plan', 'shared', 'new update', 'open update']);
    expect(report).to.deep.equal({
      removed: 3,
      removedBytes: 'old update'.length + 'upload in progress'.length + 'garbage'.length,
      kept: 4,
    });
  });

  it('removes nothing within the grace', async () => {
    const report = await sweep({ closedRounds: 0, graceMs: 60_000 });
    expect(report).to.deep.equal({ removed: 0, removedBytes: 0, kept: 7 });
    expect(await left()).to.deep.equal(names);
  });

  it('leaves what is put again while it reads the rounds', async () => {
    await new Promise((resolve) => setTimeout(resolve, 10));
    await sweep({ closedRounds: 0, graceMs: 0 }, async () => {
      await store.blobs.put(digest('garbage'), text('garbage'));
      return history;
    });
    expect(await left()).to.deep.equal(['plan', 'open update', 'garbage']);
  });

  it('removes nothing if the rounds cannot be read', async () => {
    let failure: unknown;
    await sweep({ closedRounds: 0, graceMs: 0 }, () => Promise.reject(new Error('no rounds'))).catch(
      (error) => {
        failure = error;
      },
    );
    expect(failure).to.be.an('error');
    expect(await left()).to.deep.equal(names);
  });
});
