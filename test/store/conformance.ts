/** What every store must do. An implementation's test calls `describeStore` with a way to open it. */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import type { StateChange, Store, Task } from '../../lib/store/store.js';
import { expectRefusal } from '../support/refusals.js';
import { present, sha256, text } from './support/values.js';

/** One empty store, that several handles may have open. */
export interface StoreUnderTest {
  open(): Promise<Store>;
  /** Changes what is stored of a blob behind the store's back. */
  damageBlob(digest: string): Promise<void>;
  /** Ends the servers of the store as a crash would, and starts them again. */
  readonly crash?: () => Promise<void>;
}

const LEASE_MS = 1_000;

export function describeStore(name: string, newStore: () => Promise<StoreUnderTest>): void {
  describe(name, () => {
    let underTest: StoreUnderTest;
    const opened: Store[] = [];

    async function open(): Promise<Store> {
      const store = await underTest.open();
      opened.push(store);
      return store;
    }

    beforeEach(async () => {
      underTest = await newStore();
    });

    afterEach(async () => {
      await Promise.all(opened.splice(0).map((store) => store.close()));
    });

    describe('values', () => {
      it('are found under their keys, with a revision that grows', async () => {
        const { state } = await open();
        expect(await state.get('round.7')).to.equal(undefined);
        const first = await state.create('round.7', text('planned'));
        expect(await state.get('round.7')).to.deep.equal({ value: text('planned'), revision: first });
        const second = await state.update('round.7', text('open'), present(first));
        expect(present(second)).to.be.greaterThan(present(first));
        expect(await state.get('round.7')).to.deep.equal({ value: text('open'), revision: second });
      });

      it('are created once', async () => {
        const { state } = await open();
        await state.create('key', text('first'));
        expect(await state.create('key', text('second'))).to.equal(undefined);
        expect((await state.get('key'))?.value).to.deep.equal(text('first'));
      });

      it('change only at the revision that is named', async () => {
        const { state } = await open();
        const old = present(await state.create('key', text('a')));
        const current = present(await state.update('key', text('b'), old));
        expect(await state.update('key', text('c'), old)).to.equal(undefined);
        expect(await state.update('key', text('c'), current + 1)).to.equal(undefined);
        expect(await state.update('other', text('c'), 0)).to.equal(undefined);
        expect(await state.remove('key', old)).to.equal(false);
        expect(await state.get('key')).to.deep.equal({ value: text('b'), revision: current });
        expect(await state.get('other')).to.equal(undefined);
      });

      it('are removed, and may be created again under a revision that is new', async () => {
        const { state } = await open();
        const first = present(await state.create('key', text('a')));
        expect(await state.remove('key', first)).to.equal(true);
        expect(await state.remove('key', first)).to.equal(false);
        expect(await state.get('key')).to.equal(undefined);
        expect(await state.update('key', text('b'), first)).to.equal(undefined);
        expect(await state.update('key', text('b'), first + 1)).to.equal(undefined);
        const second = present(await state.create('key', text('c')));
        expect(second).to.be.greaterThan(first + 1);
        expect((await state.get('key'))?.value).to.deep.equal(text('c'));
      });

      it('are still there after removed keys were forgotten, whose revisions do not come back', async () => {
        const store = await open();
        const kept = present(await store.state.create('kept', text('a')));
        const removed = present(await store.state.create('removed', text('b')));
        await store.state.remove('removed', removed);
        await store.collectLeftovers({ olderThanMs: -1_000 });
        expect(await store.state.get('kept')).to.deep.equal({ value: text('a'), revision: kept });
        expect(present(await store.state.create('removed', text('c')))).to.be.greaterThan(removed + 1);
      });

      it('may be empty, and have 512 KiB but no more', async () => {
        const { state } = await open();
        await state.create('empty', new Uint8Array());
        expect((await state.get('empty'))?.value).to.deep.equal(new Uint8Array());
        const largest = new Uint8Array(randomBytes(512 * 1024));
        await state.create('largest', largest);
        expect((await state.get('largest'))?.value).to.deep.equal(largest);
        const larger = new Uint8Array(512 * 1024 + 1);
        await expectRefusal('store.value-too-large', () => state.create('larger', larger));
        await expectRefusal('store.value-too-large', () => state.update('largest', larger, 2));
        expect(await state.get('larger')).to.equal(undefined);
      });

      it('have one winner when handles race for them', async () => {
        const stores = await Promise.all([open(), open(), open()]);
        for (let turn = 0; turn < 10; turn += 1) {
          const key = `race.${turn}`;
          // The same bytes from all: who won is not to be told from the value.
          const created = await Promise.all(stores.map(({ state }) => state.create(key, text('same'))));
          const revisions = created.filter((revision) => revision !== undefined);
          expect(revisions).to.have.length(1);
          const updated = await Promise.all(
            stores.map(({ state }) => state.update(key, text('same'), present(revisions[0]))),
          );
          expect(updated.filter((revision) => revision !== undefined)).to.have.length(1);
        }
      });

      it('count right when handles increase one number at the same time', async () => {
        const stores = await Promise.all([open(), open()]);
        await stores[0]?.state.create('count', text('0'));
        const increase = async ({ state }: Store): Promise<void> => {
          for (let done = 0; done < 15; ) {
            const { value, revision } = present(await state.get('count'));
            const next = text(String(Number(Buffer.from(value)) + 1));
            if ((await state.update('count', next, revision)) !== undefined) done += 1;
          }
        };
        await Promise.all(stores.map(increase));
        expect((await stores[0]?.state.get('count'))?.value).to.deep.equal(text('30'));
      });

      it('are listed below a prefix of whole segments, many as well', async () => {
        const { state } = await open();
        const names = ['a', 'a.b', 'a.b.c', 'a-x', 'ab.c', 'b', 'a.z', 'A.b'];
        for (const key of names) await state.create(key, text(key));
        await state.remove('a.z', present((await state.get('a.z'))?.revision));
        expect((await keysOf(state.list('a'))).sort()).to.deep.equal(['a.b', 'a.b.c']);
        expect(await keysOf(state.list('a.b'))).to.deep.equal(['a.b.c']);
        expect(await keysOf(state.list('none'))).to.deep.equal([]);
        expect((await keysOf(state.list(''))).sort()).to.deep.equal(
          names.filter((key) => key !== 'a.z').sort(),
        );
        for await (const { key, revision } of state.list('')) {
          expect((await state.get(key))?.revision).to.equal(revision);
        }
        const many = Array.from({ length: 1_050 }, (_, index) => `many.${index}`);
        for (let start = 0; start < many.length; start += 100) {
          await Promise.all(many.slice(start, start + 100).map((key) => state.create(key, text(key))));
        }
        expect((await keysOf(state.list('many'))).sort()).to.deep.equal(many.sort());
      });

      it('are listed once each, and to an end, while others replace them all the time', async () => {
        const [listing, writing] = [await open(), await open()];
        const keys = ['a.0', 'a.1', 'a.2', 'a.3', 'a.4'];
        for (const key of keys) await listing.state.create(key, text('new'));
        const stopped = new AbortController();
        const writers = keys.slice(1, 4).map(async (key) => {
          while (!stopped.signal.aborted) {
            const { revision } = present(await writing.state.get(key));
            await writing.state.update(key, text(`after ${revision}`), revision);
          }
        });
        try {
          for (let i = 0; i < 300; i += 1) {
            const listed: string[] = [];
            for await (const { key } of listing.state.list('a')) {
              listed.push(key);
              // A list that follows the writers would go on for ever.
              if (listed.length > keys.length) break;
            }
            expect(listed.sort(), `list ${i}`).to.deep.equal(keys);
          }
        } finally {
          stopped.abort();
          await Promise.all(writers);
        }
      });

      it('are refused under keys that could name anything else', async () => {
        const { state, queue } = await open();
        for (const key of badKeys()) {
          await expectRefusal('store.bad-key', () => state.get(key));
          await expectRefusal('store.bad-key', () => state.create(key, text('')));
          await expectRefusal('store.bad-key', () => state.update(key, text(''), 1));
          await expectRefusal('store.bad-key', () => state.remove(key, 1));
          await expectRefusal('store.bad-key', () => queue.push('queue', key, text('')));
          await expectRefusal('store.bad-key', () => queue.push(key, 'id', text('')));
          await expectRefusal('store.bad-key', () => queue.take(key, { leaseMs: LEASE_MS }));
          if (key === '') continue;
          await expectRefusal('store.bad-key', () => first(state.list(key)));
          await expectRefusal('store.bad-key', () => first(state.watch(key)));
        }
        await expectRefusal('store.bad-key', () => queue.push('two.segments', 'id', text('')));
      });
    });

    describe('watches', () => {
      it('give what is there, then every change, in the order of the revisions', async () => {
        const [{ state }, other] = [await open(), await open()];
        const a = present(await state.create('w.a', text('1')));
        await state.create('outside', text('no'));
        const gone = present(await state.create('w.gone', text('x')));
        await state.remove('w.gone', gone);
        const watch = watching(state.watch('w'));
        expect(await watch.next()).to.deep.equal({ key: 'w.a', value: text('1'), revision: a });
        const b = present(await other.state.create('w.b', text('2')));
        expect(await watch.next()).to.deep.equal({ key: 'w.b', value: text('2'), revision: b });
        const a2 = present(await state.update('w.a', text('3'), a));
        expect(await watch.next()).to.deep.equal({ key: 'w.a', value: text('3'), revision: a2 });
        await other.state.remove('w.b', b);
        const removal = present(await watch.next());
        expect([removal.key, removal.value]).to.deep.equal(['w.b', undefined]);
        expect(removal.revision).to.be.greaterThan(a2);
      });

      it('go on after a revision, removals included', async () => {
        const { state } = await open();
        const a = present(await state.create('w.a', text('1')));
        const b = present(await state.create('w.b', text('2')));
        const c = present(await state.create('w.c', text('3')));
        await state.remove('w.a', a);
        const watch = watching(state.watch('w', { afterRevision: b }));
        expect(await watch.next()).to.deep.equal({ key: 'w.c', value: text('3'), revision: c });
        expect(await watch.next()).to.deep.include({ key: 'w.a', value: undefined });
      });

      it('give nothing of what was there after the last revision, and what comes then', async () => {
        const [{ state }, other] = [await open(), await open()];
        await state.create('w.a', text('1'));
        const outside = present(await state.create('outside', text('2')));
        expect(await state.lastRevision()).to.equal(outside);
        const watch = watching(state.watch('w', { afterRevision: await other.state.lastRevision() }));
        const b = present(await other.state.create('w.b', text('3')));
        expect(await watch.next()).to.deep.equal({ key: 'w.b', value: text('3'), revision: b });
        expect(await state.lastRevision()).to.equal(b);
      });

      it('end with the signal, and with the store', async () => {
        const store = await open();
        const controller = new AbortController();
        const watches = [
          watching(store.state.watch('w', { signal: controller.signal })),
          watching(store.state.watch('w')),
        ] as const;
        const results = watches.map((watch) => watch.next());
        await delay(50);
        controller.abort();
        expect(await results[0]).to.equal(undefined);
        await store.close();
        expect(await results[1]).to.equal(undefined);
      });

      it('miss nothing of what two handles write', async () => {
        const stores = [await open(), await open()];
        const seen = new Map<string, number>();
        const controller = new AbortController();
        const watch = (async () => {
          let last = 0;
          for await (const change of present(stores[0]).state.watch('m', { signal: controller.signal })) {
            expect(change.revision).to.be.greaterThan(last);
            last = change.revision;
            seen.set(change.key, change.revision);
            if (seen.size === 200) return;
          }
        })();
        const written = new Map<string, number>();
        await Promise.all(
          stores.map(async ({ state }, handle) => {
            for (let index = 0; index < 100; index += 1) {
              const key = `m.${handle}.${index}`;
              written.set(key, present(await state.create(key, text(key))));
            }
          }),
        );
        await watch;
        expect(seen).to.deep.equal(written);
      });
    });

    describe('blobs', () => {
      it('are read as they were put, from nothing to 4 MiB', async () => {
        const { blobs } = await open();
        for (const size of [0, 1, 512 * 1024, 1024 * 1024, 4 * 1024 * 1024]) {
          const bytes = new Uint8Array(randomBytes(size));
          expect(await blobs.has(sha256(bytes))).to.equal(false);
          expect(await blobs.read(sha256(bytes))).to.equal(undefined);
          await blobs.put(sha256(bytes), bytes);
          expect(await blobs.has(sha256(bytes))).to.equal(true);
          expect(sha256(present(await blobs.read(sha256(bytes))))).to.equal(sha256(bytes));
        }
      });

      it('are refused where the digest is of other bytes, and where they are too large', async () => {
        const { blobs } = await open();
        const bytes = text('blob');
        const other = sha256(text('other'));
        await expectRefusal('store.digest-mismatch', () => blobs.put(other, bytes));
        const pair = [
          { digest: sha256(bytes), bytes },
          { digest: other, bytes },
        ];
        await expectRefusal('store.digest-mismatch', () => blobs.putMany(pair));
        const large = new Uint8Array(4 * 1024 * 1024 + 1);
        await expectRefusal('store.blob-too-large', () => blobs.put(sha256(large), large));
        expect(await blobs.usage()).to.deep.equal({ blobs: 0, sizeBytes: 0 });
      });

      it('are refused under what is no digest', async () => {
        const { blobs } = await open();
        const digest = sha256(text('blob'));
        for (const bad of [
          '',
          '..',
          `../${digest}`,
          digest.toUpperCase(),
          digest.slice(1),
          `${digest}\n`,
          '*',
        ]) {
          await expectRefusal('store.bad-digest', () => blobs.put(bad, text('blob')));
          await expectRefusal('store.bad-digest', () => blobs.has(bad));
          await expectRefusal('store.bad-digest', () => blobs.read(bad));
          await expectRefusal('store.bad-digest', () => blobs.remove(bad));
        }
      });

      it('are put again, by several at once, without a second copy', async () => {
        const stores = await Promise.all([open(), open()]);
        const bytes = new Uint8Array(randomBytes(700_000));
        const digest = sha256(bytes);
        await Promise.all([...stores, ...stores].map(({ blobs }) => blobs.put(digest, bytes)));
        await present(stores[0]).blobs.put(digest, bytes);
        expect(await present(stores[1]).blobs.usage()).to.deep.equal({ blobs: 1, sizeBytes: 700_000 });
        expect(await present(stores[1]).blobs.read(digest)).to.deep.equal(bytes);
      });

      it('are put and listed in groups, the same one twice among them', async () => {
        const { blobs } = await open();
        const contents = Array.from({ length: 40 }, (_, index) => text(`blob ${index}`));
        const group = [...contents, text('blob 0')].map((bytes) => ({ digest: sha256(bytes), bytes }));
        const before = Date.now();
        await blobs.putMany(group);
        await blobs.putMany([]);
        const listed = [];
        for await (const blob of blobs.list()) listed.push(blob);
        expect(listed.map(({ digest }) => digest).sort()).to.deep.equal(contents.map(sha256).sort());
        for (const { digest, sizeBytes, storedAtMs } of listed) {
          expect((await blobs.read(digest))?.length).to.equal(sizeBytes);
          expect(storedAtMs).to.be.within(before - 5_000, Date.now() + 5_000);
        }
      });

      it('are removed, and put again', async () => {
        const { blobs } = await open();
        const bytes = new Uint8Array(randomBytes(600_000));
        const digest = sha256(bytes);
        expect(await blobs.remove(digest)).to.equal(false);
        await blobs.put(digest, bytes);
        expect(await blobs.remove(digest)).to.equal(true);
        expect(await blobs.remove(digest)).to.equal(false);
        expect([await blobs.has(digest), await blobs.read(digest)]).to.deep.equal([false, undefined]);
        expect(await blobs.usage()).to.deep.equal({ blobs: 0, sizeBytes: 0 });
        await blobs.put(digest, bytes);
        expect(await blobs.read(digest)).to.deep.equal(bytes);
      });

      it('that were put again are new, and are not removed as old ones', async () => {
        const { blobs } = await open();
        const [old, renewed] = [text('old'), text('renewed')];
        await blobs.putMany([old, renewed].map((bytes) => ({ digest: sha256(bytes), bytes })));
        const storedBeforeMs = (await newest(blobs.list())) + 1;
        await delay(20);
        await blobs.put(sha256(renewed), renewed);
        expect(await blobs.remove(sha256(renewed), { storedBeforeMs })).to.equal(false);
        expect(await blobs.remove(sha256(old), { storedBeforeMs })).to.equal(true);
        expect(await blobs.read(sha256(renewed))).to.deep.equal(renewed);
      });

      it('survive putting and removing at the same time, when putting comes last', async () => {
        const [one, two] = [await open(), await open()];
        const bytes = new Uint8Array(randomBytes(600_000));
        const digest = sha256(bytes);
        for (let turn = 0; turn < 10; turn += 1) {
          await one.blobs.put(digest, bytes);
          // What a sweep does: it may win or lose, but the blob is whole or not there.
          const storedBeforeMs = Date.now() + (turn % 2 === 0 ? 1_000 : -1_000_000);
          const [removed] = await Promise.all([
            two.blobs.remove(digest, { storedBeforeMs }),
            one.blobs.put(digest, bytes),
          ]);
          const stored = await two.blobs.read(digest);
          if (!removed) expect(stored).to.deep.equal(bytes);
          else if (stored !== undefined) expect(stored).to.deep.equal(bytes);
        }
      });

      it('that are damaged are named and never returned, until they are put again', async () => {
        const { blobs } = await open();
        const bytes = new Uint8Array(randomBytes(600_000));
        const digest = sha256(bytes);
        await blobs.put(digest, bytes);
        await underTest.damageBlob(digest);
        const refusal = await expectRefusal('store.blob-corrupt', () => blobs.read(digest));
        expect(refusal.message).to.include(digest);
        await blobs.put(digest, bytes);
        expect(await blobs.read(digest)).to.deep.equal(bytes);
        expect(await blobs.usage()).to.deep.equal({ blobs: 1, sizeBytes: 600_000 });
      });
    });

    describe('tasks', () => {
      it('are taken once, in the order in which they came, and are gone when done', async () => {
        const [one, two] = [await open(), await open()];
        await one.queue.push('sum', 'first', text('1'));
        await one.queue.push('sum', 'second.of-two', text('2'));
        await one.queue.push('verify', 'other', text('3'));
        const first = await taken(one, 'sum');
        const second = await taken(two, 'sum');
        expect([first.id, second.id]).to.deep.equal(['first', 'second.of-two']);
        expect([first.payload, first.attempt]).to.deep.equal([text('1'), 1]);
        expect(await one.queue.take('sum', soon())).to.equal(undefined);
        await first.done();
        await first.done();
        await second.done();
        expect((await taken(two, 'verify')).id).to.equal('other');
      });

      it('are there once under an id, while they exist', async () => {
        const [one, two] = [await open(), await open()];
        const pushed = await Promise.all(
          [one, two, one, two].map(({ queue }) => queue.push('sum', 'id', text('x'))),
        );
        expect(pushed.filter(Boolean)).to.have.length(1);
        const task = await taken(one, 'sum');
        expect(await two.queue.push('sum', 'id', text('y'))).to.equal(false);
        await task.done();
        await eventually(() => two.queue.push('sum', 'id', text('z')));
        expect((await taken(one, 'sum')).payload).to.deep.equal(text('z'));
      });

      it('come back when their lease ends, and know that it was not the first time', async () => {
        const [one, two] = [await open(), await open()];
        await one.queue.push('sum', 'id', text('x'));
        const lost = await taken(one, 'sum');
        const found = await taken(two, 'sum');
        expect(found.id).to.equal('id');
        // More where a delivery is lost between servers.
        expect(found.attempt).to.be.at.least(2);
        expect(await lost.extend()).to.equal(false);
        await lost.release();
        expect(await two.queue.take('sum', soon())).to.equal(undefined);
        expect(await found.extend()).to.equal(true);
        await found.done();
      });

      it('stay with whoever extends the lease', async () => {
        const [one, two] = [await open(), await open()];
        await one.queue.push('sum', 'id', text('x'));
        const task = await taken(one, 'sum');
        const waiting = two.queue.take('sum', { leaseMs: LEASE_MS, signal: AbortSignal.timeout(2_000) });
        for (let turn = 0; turn < 6; turn += 1) {
          await delay(LEASE_MS / 3);
          expect(await task.extend()).to.equal(true);
        }
        expect(await waiting).to.equal(undefined);
        await task.done();
        expect(await two.queue.take('sum', soon())).to.equal(undefined);
      });

      it('that were done after their lease are gone for the next one as well', async () => {
        const [one, two] = [await open(), await open()];
        await one.queue.push('sum', 'id', text('x'));
        const late = await taken(one, 'sum');
        const second = await taken(two, 'sum');
        await late.done();
        await eventually(() => two.queue.push('sum', 'id', text('new')));
        // Neither of them names the new task.
        await late.release();
        await second.done();
        expect((await taken(one, 'sum')).payload).to.deep.equal(text('new'));
      });

      it('that are released come back at once, those of a store that is closed too', async () => {
        const [one, two] = [await open(), await open()];
        await one.queue.push('sum', 'id', text('x'));
        const long = { leaseMs: 3_600_000 };
        const held = present(await one.queue.take('sum', long));
        const waiting = two.queue.take('sum', long);
        await held.release();
        const again = present(await waiting);
        expect(again.attempt).to.equal(2);
        await Promise.all([one.close(), two.close()]);
        expect((await taken(await open(), 'sum')).attempt).to.equal(3);
      });

      it('wake a take that waits, which ends with its signal and with the store', async () => {
        const [one, two] = [await open(), await open()];
        const waiting = one.queue.take('sum', { leaseMs: LEASE_MS });
        await two.queue.push('sum', 'id', text('x'));
        expect((await waiting)?.id).to.equal('id');
        const controller = new AbortController();
        const aborted = one.queue.take('other', { leaseMs: LEASE_MS, signal: controller.signal });
        const closed = one.queue.take('other', { leaseMs: LEASE_MS });
        await delay(50);
        controller.abort();
        expect(await aborted).to.equal(undefined);
        await one.close();
        expect(await closed).to.equal(undefined);
      });

      it('are each done once by several workers', async () => {
        const stores = await Promise.all([open(), open(), open()]);
        const ids = Array.from({ length: 60 }, (_, index) => `task-${index}`);
        await Promise.all(ids.map((id) => present(stores[0]).queue.push('work', id, text(id))));
        const done: string[] = [];
        const controller = new AbortController();
        const work = async ({ queue }: Store): Promise<void> => {
          for (;;) {
            const task = await queue.take('work', { leaseMs: 30_000, signal: controller.signal });
            if (task === undefined) return;
            done.push(task.id);
            await task.done();
            if (done.length === ids.length) controller.abort();
          }
        };
        await Promise.all(stores.map(work));
        expect(done.sort()).to.deep.equal(ids.sort());
      });

      it('are refused with a lease or a payload out of bounds', async () => {
        const { queue } = await open();
        for (const leaseMs of [0, 999, 1_000.5, 3_600_001, Number.NaN]) {
          await expectRefusal('store.bad-lease', () => queue.take('sum', { leaseMs }));
        }
        const large = new Uint8Array(512 * 1024 + 1);
        await expectRefusal('store.value-too-large', () => queue.push('sum', 'id', large));
        const largest = large.subarray(1);
        await queue.push('sum', 'id', largest);
        const task = present(await queue.take('sum', { leaseMs: LEASE_MS }));
        expect(task.payload).to.have.length(largest.length);
      });
    });

    it('keeps everything when it is closed, its machine is killed, and it is opened again', async () => {
      const before = await open();
      const revision = present(await before.state.create('key', text('value')));
      const removed = present(await before.state.create('removed', text('value')));
      await before.state.remove('removed', removed);
      const bytes = new Uint8Array(randomBytes(1_200_000));
      await before.blobs.put(sha256(bytes), bytes);
      await before.queue.push('sum', 'waiting', text('payload'));
      await before.close();
      await underTest.crash?.();
      const after = await open();
      expect(await after.state.get('key')).to.deep.equal({ value: text('value'), revision });
      expect(await after.state.get('removed')).to.equal(undefined);
      expect(await after.blobs.read(sha256(bytes))).to.deep.equal(bytes);
      expect(await after.queue.push('sum', 'waiting', text('again'))).to.equal(false);
      expect((await taken(after, 'sum')).payload).to.deep.equal(text('payload'));
      expect(present(await after.state.create('next', text('')))).to.be.greaterThan(removed + 1);
    });
  });
}

export async function taken(store: Store, queue: string): Promise<Task> {
  const task = await store.queue.take(queue, { leaseMs: LEASE_MS, signal: AbortSignal.timeout(10_000) });
  return present(task);
}

function soon(): { leaseMs: number; signal: AbortSignal } {
  return { leaseMs: LEASE_MS, signal: AbortSignal.timeout(150) };
}

function watching(changes: AsyncIterable<StateChange>): { next(): Promise<StateChange | undefined> } {
  const iterator = changes[Symbol.asyncIterator]();
  return {
    async next() {
      const result = await iterator.next();
      return result.done ? undefined : result.value;
    },
  };
}

/** On replicas the end of a task is known a moment after it was acknowledged. */
async function eventually(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await delay(10);
}

async function first<T>(values: AsyncIterable<T>): Promise<T | undefined> {
  for await (const value of values) return value;
  return undefined;
}

async function keysOf(values: AsyncIterable<{ readonly key: string }>): Promise<string[]> {
  const keys = [];
  for await (const { key } of values) keys.push(key);
  return keys;
}

async function newest(blobs: AsyncIterable<{ readonly storedAtMs: number }>): Promise<number> {
  let latest = 0;
  for await (const { storedAtMs } of blobs) latest = Math.max(latest, storedAtMs);
  return latest;
}

function badKeys(): string[] {
  return [
    ...['', '.', '..', 'a..b', '.a', 'a.', '../a', 'a/b', '/etc/passwd', 'a\\b', 'a b', 'a\0b', 'a\n'],
    ...['*', '>', 'a.*', 'a.>', '$KV', 'a%b', 'ä', 'a'.repeat(129), 'x.'.repeat(300)],
  ];
}
