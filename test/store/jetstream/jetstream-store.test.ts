import { randomBytes } from 'node:crypto';
import { openJetStreamStore } from '../../../lib/store/jetstream/jetstream-store.js';
import { loadNatsPackages } from '../../../lib/store/jetstream/packages.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { describeStore } from '../conformance.js';
import { NatsServer, requireNatsServer } from '../support/nats-server.js';
import { present } from '../support/values.js';

describe('on JetStream', () => {
  let server: NatsServer;

  before(async function () {
    requireNatsServer(this);
    server = await NatsServer.start({ storeDirectory: await temporaryDirectory() });
  });

  after(() => server?.kill());

  describeStore('the store', async () => {
    const prefix = `t${randomBytes(4).toString('hex')}`;
    return {
      open: () => openJetStreamStore({ servers: [server.address], prefix }),
      damageBlob: async (digest) => damageFirstPart(server, prefix, digest),
      crash: () => server.restart(),
    };
  });
});

/** Publishes other bytes in the place of a blob's first part, as somebody with access to the server could. */
async function damageFirstPart(server: NatsServer, prefix: string, digest: string): Promise<void> {
  const { transport, jetstream } = await loadNatsPackages();
  const connection = await transport.connect({ servers: server.address });
  const manager = await jetstream.jetstreamManager(connection);
  const subject = `${prefix}.blobs.manifest.${digest}`;
  const manifest = await manager.streams.getMessage(`${prefix}-blobs`, { last_by_subj: subject });
  const { upload } = present(manifest ?? undefined).json() as { upload: string };
  await jetstream
    .jetstream(connection)
    .publish(`${prefix}.blobs.part.${digest}.${upload}.0`, new Uint8Array(randomBytes(512 * 1024)));
  await connection.close();
}
