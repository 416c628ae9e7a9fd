import { cp } from 'node:fs/promises';
import { expect } from 'chai';
import { z } from 'zod';
import { SignedClient } from '../../lib/agents/http/signed-client.js';
import { openKeyStore } from '../../lib/custody/role-directory.js';
import { type RoundStatus, roundStatusSchema } from '../../lib/server/rounds/round-status.js';
import { Service } from '../../lib/server/service.js';
import { NatsServer, requireNatsServer } from '../store/support/nats-server.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { type PlannedFile, ServedTestFleet, smallPolicy } from './support/served-fleet.js';

const anything = z.unknown();

describe('two servers of one fleet on JetStream', function () {
  this.timeout(180_000);

  let nats: NatsServer;
  let fleet: ServedTestFleet;
  const servers: (Service | undefined)[] = [];

  before(async function () {
    requireNatsServer(this);
    nats = await NatsServer.start({ storeDirectory: await temporaryDirectory() });
    fleet = await ServedTestFleet.create(4);
    await cp(fleet.role('aggregator'), fleet.at('aggregator-1'), { recursive: true });
    await start(0);
    await start(1);
  });
  after(async () => {
    await Promise.all(servers.map((server) => server?.stop(2000)));
    await nats?.stop();
  });

  async function start(index: 0 | 1): Promise<void> {
    servers[index] = await Service.start({
      store: { kind: 'jetstream', servers: [nats.address], prefix: 'service', operationTimeoutMs: 20_000 },
      aggregator: index === 0 ? fleet.role('aggregator') : fleet.at('aggregator-1'),
      policy: smallPolicy(),
      ...{ host: '127.0.0.1', port: 0, version: '0.0.0', log: { level: 'silent' } },
      rounds: { sumLeaseMs: 3000 },
    });
  }

  async function stop(index: 0 | 1): Promise<void> {
    await servers[index]?.stop(2000);
    servers[index] = undefined;
  }

  async function api(index: 0 | 1, role: Parameters<ServedTestFleet['role']>[0]): Promise<SignedClient> {
    const keys = await openKeyStore(fleet.role(role));
    const key = await keys.signing();
    keys.close();
    return new SignedClient({ baseUrl: servers[index]?.address ?? '', key });
  }

  async function open(index: 0 | 1, { plan, bytes }: PlannedFile): Promise<RoundStatus> {
    const at = `/v1/rounds/${plan}/plan`;
    return (await api(index, 'owner')).putBytes(at, bytes, 'named-by-path', roundStatusSchema);
  }

  async function send(
    index: 0 | 1,
    number: number,
    { plan, path }: PlannedFile,
    round: number,
  ): Promise<string> {
    const sealed = await fleet.seal(number, path, round);
    const client = await api(index, `client-${number}`);
    await client.putFile(`/v1/rounds/${plan}/updates/${sealed.update}`, sealed.path, anything);
    return sealed.update;
  }

  async function summed(index: 0 | 1, { plan }: PlannedFile): Promise<RoundStatus> {
    for (const end = Date.now() + 60_000; ; await new Promise((resolve) => setTimeout(resolve, 100))) {
      const status = await (await api(index, 'owner')).getJson(`/v1/rounds/${plan}`, roundStatusSchema);
      if (status.phase === 'awaiting-answers') return status;
      if (Date.now() > end)
        throw new Error(`the round is ${status.phase}: ${JSON.stringify(status.failure)}`);
    }
  }

  it('take a round’s updates side by side, and sum them once', async () => {
    const planned = await fleet.plan(1);
    await open(0, planned);
    const updates: string[] = [];
    for (const number of [1, 2, 3, 4]) updates.push(await send((number % 2) as 0 | 1, number, planned, 1));
    const [left, right] = [await summed(0, planned), await summed(1, planned)];
    expect(left.received.map(({ update }) => update).sort()).to.deep.equal(updates.sort());
    expect(left.aggregate).to.include({ accepted: 4 });
    expect(right.aggregate).to.deep.equal(left.aggregate);
  });

  it('go on with each other’s rounds when one ends, and after nats-server was away', async () => {
    const planned = await fleet.plan(2);
    await open(1, planned);
    await send(1, 1, planned, 2);
    await stop(1);
    await send(0, 2, planned, 2);
    await nats.stop();
    await nats.startAgain();
    await send(0, 3, planned, 2);
    await start(1);
    await send(1, 4, planned, 2);
    expect((await summed(1, planned)).aggregate).to.include({ accepted: 4 });
  });

  it('open one plan of two that are sent to them at once', async () => {
    const plans = [await fleet.plan(3), await fleet.plan(3)] as const;
    const outcomes = await Promise.all(
      plans.map((planned, index) =>
        open(index as 0 | 1, planned)
          .then(({ phase }) => phase as string)
          .catch(({ code }: { readonly code: string }) => code),
      ),
    );
    expect(outcomes.sort()).to.deep.equal(['open', 'round.another-plan']);
  });

  it('lose the update that nats-server has lost, hold nobody responsible, and go on with the others', async () => {
    const planned = await fleet.plan(4);
    await open(0, planned);
    const lost = await send(0, 1, planned, 4);
    const { store, intake } = (servers[0] as Service).context;
    const chunk = (await intake.find(planned.plan, lost))?.file.at(-1)?.digest ?? '';
    expect(await store.blobs.remove(chunk)).to.equal(true);
    for (const number of [2, 3, 4]) await send(1, number, planned, 4);
    const { aggregate } = await summed(0, planned);
    expect(aggregate).to.include({ accepted: 3 });
    expect(aggregate?.refused.map(({ fingerprint, code }) => [fingerprint, code])).to.deep.equal([
      [lost, 'store.blob-missing'],
    ]);
  });
});
