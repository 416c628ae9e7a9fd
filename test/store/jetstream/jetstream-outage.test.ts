import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { openJetStreamStore } from '../../../lib/store/jetstream/jetstream-store.js';
import type { Store } from '../../../lib/store/store.js';
import { expectRefusal } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { taken } from '../conformance.js';
import { LossyProxy } from '../support/lossy-proxy.js';
import { NatsServer, requireNatsServer } from '../support/nats-server.js';
import { present, sha256, text } from '../support/values.js';

describe('a store on JetStream', () => {
  let server: NatsServer;
  let prefix: string;
  const opened: Store[] = [];

  before(async function () {
    requireNatsServer(this);
    server = await NatsServer.start({ storeDirectory: await temporaryDirectory() });
  });

  after(() => server?.kill());

  beforeEach(() => {
    prefix = `t${randomBytes(4).toString('hex')}`;
  });

  afterEach(async () => {
    await Promise.all(opened.splice(0).map((store) => store.close()));
  });

  async function open(operationTimeoutMs = 10_000, address = server.address): Promise<Store> {
    const store = await openJetStreamStore({ servers: [address], prefix, operationTimeoutMs });
    opened.push(store);
    return store;
  }

  describe('while the server is away', () => {
    afterEach(() => server.startAgain());

    it('fails with store.unavailable when the time is over, and works again afterwards', async () => {
      const store = await open(600);
      const revision = present(await store.state.create('key', text('value')));
      await server.kill();
      const operations: readonly (() => Promise<unknown>)[] = [
        () => store.state.get('key'),
        () => store.state.update('key', text('other'), revision),
        () => store.blobs.put(sha256(text('b')), text('b')),
        () => store.queue.push('sum', 'id', text('')),
        () => open(600),
      ];
      await Promise.all(operations.map((operation) => expectRefusal('store.unavailable', operation)));
      await server.startAgain();
      const again = await open();
      expect((await again.state.get('key'))?.value).to.be.an.instanceOf(Uint8Array);
      expect(await again.blobs.has(sha256(text('b')))).to.be.a('boolean');
    });

    it('waits, and then does what it was asked for, once', async () => {
      const store = await open();
      const revision = present(await store.state.create('key', text('value')));
      const bytes = new Uint8Array(randomBytes(700_000));
      await server.kill();
      const operations = Promise.all([
        store.state.update('key', text('other'), revision),
        store.blobs.put(sha256(bytes), bytes),
        store.queue.push('sum', 'id', text('payload')),
        store.queue.take('sum', { leaseMs: 5_000 }),
      ]);
      await delay(300);
      await server.startAgain();
      const [updated, , pushed, task] = await operations;
      expect(await store.state.get('key')).to.deep.equal({ value: text('other'), revision: updated });
      expect(await store.blobs.read(sha256(bytes))).to.deep.equal(bytes);
      expect([pushed, task?.id, task?.attempt]).to.deep.equal([true, 'id', 1]);
      await task?.done();
    });

    it('goes on with its watches and its tasks where they were', async () => {
      const store = await open();
      await store.state.create('w.a', text('1'));
      await store.queue.push('sum', 'id', text('payload'));
      const task = await taken(store, 'sum');
      const seen: string[] = [];
      const controller = new AbortController();
      const watch = (async () => {
        for await (const { key, value } of store.state.watch('w', { signal: controller.signal })) {
          seen.push(`${key} ${value === undefined ? 'removed' : Buffer.from(value).toString()}`);
          if (seen.length === 4) return;
        }
      })();
      await store.state.create('w.b', text('2'));
      await server.restart();
      const revision = present(await store.state.create('w.c', text('3')));
      await store.state.remove('w.c', revision);
      const d = await store.state.create('w.d', text('4'));
      expect(d).to.be.greaterThan(revision);
      await Promise.race([watch, delay(8_000)]);
      controller.abort();
      await watch;
      // Of what follows on one key quickly, only the last is sure to come.
      expect(seen.filter((change) => change !== 'w.c 3').slice(0, 4)).to.deep.equal([
        'w.a 1',
        'w.b 2',
        'w.c removed',
        ...(seen.includes('w.c 3') ? [] : ['w.d 4']),
      ]);
      await task.done();
      await server.restart();
      expect(await store.queue.push('sum', 'id', text('next'))).to.equal(true);
    });
  });

  describe('when the reply to a write is lost', () => {
    let proxy: LossyProxy;

    beforeEach(async () => {
      proxy = await LossyProxy.start(server.port);
    });

    afterEach(() => proxy.close());

    it('says that the write was done, with its revision, although nothing can be changed twice', async () => {
      const [store, witness] = [await open(3_000, proxy.address), await open()];
      const first = present(await witness.state.create('key', text('a')));
      proxy.loseReplies();
      const created = store.state.create('new', text('same'));
      await until(async () => (await witness.state.get('new')) !== undefined);
      const stored = present(await witness.state.get('new'));
      proxy.heal();
      expect(await created).to.equal(stored.revision);

      const second = present(await store.state.update('key', text('b'), first));
      expect(await witness.state.update('key', text('b'), first)).to.equal(undefined);
      expect(second).to.be.greaterThan(first);
    });

    it('tells its own write from the same bytes of another', async () => {
      const [store, witness] = [await open(3_000, proxy.address), await open()];
      const first = present(await store.state.create('key', text('a')));
      proxy.loseReplies();
      // Looks at the revision first, which is what gets no answer: the write comes after the other's.
      const updated = store.state.update('key', text('same'), first);
      await delay(100);
      const others = present(await witness.state.update('key', text('same'), first));
      proxy.heal();
      expect(await updated).to.equal(undefined);
      expect((await witness.state.get('key'))?.revision).to.equal(others);
    });

    it('still knows that a write was its own when another has replaced the value', async () => {
      const [store, witness] = [await open(3_000, proxy.address), await open()];
      proxy.loseReplies();
      const created = store.state.create('key', text('first'));
      await until(async () => (await witness.state.get('key')) !== undefined);
      const revision = present((await witness.state.get('key'))?.revision);
      await witness.state.update('key', text('second'), revision);
      proxy.heal();
      expect(await created).to.equal(revision);
      expect((await witness.state.get('key'))?.value).to.deep.equal(text('second'));
    });

    it('queues a task once', async () => {
      const [store, witness] = [await open(3_000, proxy.address), await open()];
      proxy.loseReplies();
      const pushed = store.queue.push('sum', 'id', text('payload'));
      await delay(200);
      proxy.heal();
      expect(await pushed).to.equal(true);
      expect((await taken(witness, 'sum')).id).to.equal('id');
      const none = { leaseMs: 5_000, signal: AbortSignal.timeout(200) };
      expect(await witness.queue.take('sum', none)).to.equal(undefined);
    });
  });
});

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await delay(10);
}
