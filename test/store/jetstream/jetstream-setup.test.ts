import { randomBytes } from 'node:crypto';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { JetStreamOptions } from '../../../lib/store/jetstream/config.js';
import { openJetStreamStore } from '../../../lib/store/jetstream/jetstream-store.js';
import { loadNatsPackages, type NatsPackages } from '../../../lib/store/jetstream/packages.js';
import { openStore } from '../../../lib/store/open-store.js';
import { expectRefusal } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { NatsServer, requireNatsServer } from '../support/nats-server.js';
import { sha256, text } from '../support/values.js';

describe('the NATS packages', () => {
  it('are missed with a message that says what to install', async () => {
    const missing = () => Promise.reject(new Error('Cannot find package'));
    const refusal = await expectRefusal('store.nats-packages', () => loadNatsPackages(missing));
    expect(refusal.message).to.match(/npm install @nats-io\/transport-node@3\.3 @nats-io\/jetstream@3\.3/);
    await expectRefusal('store.nats-packages', () => loadNatsPackages(async () => ({ other: true })));
  });
});

describe('the configuration of a store on JetStream', () => {
  const wrong: readonly (readonly [string, object])[] = [
    ['no server', { servers: [] }],
    ['credentials in a server', { servers: ['nats://user:secret@host:4222'] }],
    ['another scheme', { servers: ['http://host'] }],
    ['a prefix with a wildcard', { servers: ['host'], prefix: 'a.>' }],
    ['two replicas', { servers: ['host'], replicas: 2 }],
    ['a time limit in seconds', { servers: ['host'], operationTimeoutMs: 10 }],
    [
      'an unknown kind of credentials',
      { servers: ['host'], credentials: { kind: 'password', password: 'x' } },
    ],
    ['an unknown setting', { servers: ['host'], verify: false }],
    ['an unknown setting of TLS', { servers: ['host'], tls: { rejectUnauthorized: false } }],
  ];
  for (const [what, options] of wrong) {
    it(`is refused with ${what}`, async () => {
      const refusal = await expectRefusal('store.bad-config', () =>
        openJetStreamStore(options as JetStreamOptions),
      );
      expect(refusal.message).not.to.include('secret');
    });
  }
});

describe('the streams of a store on JetStream', () => {
  let server: NatsServer;
  let packages: NatsPackages;
  let prefix: string;

  before(async function () {
    requireNatsServer(this);
    packages = await loadNatsPackages();
    server = await NatsServer.start({ storeDirectory: await temporaryDirectory() });
  });

  after(() => server?.kill());

  beforeEach(() => {
    prefix = `t${randomBytes(4).toString('hex')}`;
  });

  async function tools() {
    const connection = await packages.transport.connect({ servers: server.address });
    const manager = await packages.jetstream.jetstreamManager(connection);
    return { connection, manager, client: packages.jetstream.jetstream(connection) };
  }

  type Tools = Awaited<ReturnType<typeof tools>>;

  async function managed<T>(action: (opened: Tools) => Promise<T>): Promise<T> {
    const opened = await tools();
    try {
      return await action(opened);
    } finally {
      await opened.connection.close();
    }
  }

  it('are refused where one of the name keeps less than this store acknowledges', async () => {
    await managed(({ manager }) =>
      manager.streams.add({ name: `${prefix}-work`, subjects: [`${prefix}.work.>`], retention: 'limits' }),
    );
    await expectRefusal('store.wrong-stream', () =>
      openJetStreamStore({ servers: [server.address], prefix }),
    );
  });

  it("are refused where their subjects are another stream's", async () => {
    await managed(({ manager }) => manager.streams.add({ name: `${prefix}-x`, subjects: [`${prefix}.>`] }));
    await expectRefusal('store.wrong-stream', () =>
      openJetStreamStore({ servers: [server.address], prefix }),
    );
  });

  it('are made once by handles that open at the same time', async () => {
    const opening = Array.from({ length: 5 }, () =>
      openJetStreamStore({ servers: [server.address], prefix }),
    );
    const stores = await Promise.all(opening);
    expect(await stores[0]?.state.create('key', text('value'))).to.equal(1);
    for (const store of stores) {
      expect((await store.state.get('key'))?.revision).to.equal(1);
      await store.close();
    }
  });

  it('are refused where one has a limit of age', async () => {
    await (await openJetStreamStore({ servers: [server.address], prefix })).close();
    await managed(({ manager }) => manager.streams.update(`${prefix}-blobs`, { max_age: 3_600_000_000_000 }));
    await expectRefusal('store.wrong-stream', () =>
      openJetStreamStore({ servers: [server.address], prefix }),
    );
  });

  it('are refused by one server where replicas are asked for', async () => {
    const options: JetStreamOptions = { servers: [server.address], prefix, replicas: 3 };
    await expectRefusal('store.failed', () => openJetStreamStore(options));
  });

  it('lose the parts of uploads that were cut, and no others', async () => {
    const store = await openStore({ kind: 'jetstream', servers: [server.address], prefix });
    const bytes = new Uint8Array(randomBytes(1_100_000));
    await store.blobs.put(sha256(bytes), bytes);
    await managed(async ({ client, manager }) => {
      const count = async () => (await manager.streams.info(`${prefix}-blobs`)).state.messages;
      const upload = 'ab'.repeat(16);
      for (const digest of [sha256(bytes), sha256(text('never finished'))]) {
        await client.publish(`${prefix}.blobs.part.${digest}.${upload}.0`, text('part'));
      }
      // Three parts and a manifest, and the two that nothing names.
      expect(await count()).to.equal(6);
      await store.collectLeftovers();
      expect(await count()).to.equal(6);
      await store.collectLeftovers({ olderThanMs: -1_000 });
      expect(await count()).to.equal(4);
    });
    expect(await store.blobs.read(sha256(bytes))).to.deep.equal(bytes);
    await store.close();
  });
});

describe('a server that asks who it is', () => {
  let server: NatsServer;
  let seedPath: string;
  let strangerPath: string;

  before(async function () {
    requireNatsServer(this);
    const { transport } = await loadNatsPackages();
    const directory = await temporaryDirectory();
    const [user, stranger] = [transport.nkeys.createUser(), transport.nkeys.createUser()];
    seedPath = join(directory, 'user.nk');
    strangerPath = join(directory, 'stranger.nk');
    await writeFile(seedPath, `${new TextDecoder().decode(user.getSeed())}\n`, { mode: 0o600 });
    await writeFile(strangerPath, stranger.getSeed(), { mode: 0o600 });
    const configuration = join(directory, 'nats.conf');
    await writeFile(configuration, `authorization { users = [ { nkey: ${user.getPublicKey()} } ] }\n`);
    const storeDirectory = join(directory, 'data');
    server = await NatsServer.start({ storeDirectory, arguments: ['-c', configuration] });
  });

  after(() => server?.kill());

  function open(path: string) {
    const credentials = { kind: 'nkey-file', path } as const;
    return openJetStreamStore({ servers: [server.address], credentials, operationTimeoutMs: 2_000 });
  }

  it('lets the key in that it knows, and no other', async () => {
    const store = await open(seedPath);
    expect(await store.state.create('key', text('value'))).to.equal(1);
    await store.close();
    await expectRefusal('store.failed', () => open(strangerPath));
    await expectRefusal('store.failed', () => openJetStreamStore({ servers: [server.address] }));
  });

  it('is not asked with a key that others may read, or that is missing', async () => {
    await expectRefusal('store.credentials', () => open(`${seedPath}.missing`));
    await chmod(seedPath, 0o644);
    await expectRefusal('storage.permissions', () => open(seedPath));
    await chmod(seedPath, 0o600);
  });
});
