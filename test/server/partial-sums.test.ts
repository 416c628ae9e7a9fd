/** Partial sums as a gateway's machine sends them to the service. */
import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { z } from 'zod';
import { openRole } from '../../lib/custody/role-directory.js';
import { readTrustedPlan } from '../../lib/custody/trusted-plan.js';
import { hex } from '../../lib/package/messages/common.js';
import { sumAtGateway } from '../../lib/round/gateway-sum.js';
import { collectGarbage } from '../../lib/server/rounds/retention.js';
import { type RoundStatus, roundStatusSchema } from '../../lib/server/rounds/round-status.js';
import { workSchema } from '../../lib/server/routes/work.js';
import { outcomeOf } from '../support/refusals.js';
import { type PlannedFile, ServedTestFleet, smallPolicy } from './support/served-fleet.js';

const anything = z.unknown();

describe('a partial sum through the service', function () {
  this.timeout(120_000);

  let fleet: ServedTestFleet;
  let planned: PlannedFile;
  const updates: string[] = [];

  before(async () => {
    fleet = await ServedTestFleet.create(5, { gateways: 2 });
    await fleet.start();
    planned = await fleet.plan(1, { deadlineMs: 60_000 });
    const owner = await fleet.api('owner');
    await owner.putBytes(`/v1/rounds/${planned.plan}/plan`, planned.bytes, 'named-by-path', anything);
    for (const number of [1, 2, 3, 4, 5]) updates.push((await fleet.seal(number, planned.path)).path);
  });
  after(() => fleet.stop());

  async function sum(gateway: 'gateway-1' | 'gateway-2', numbers: readonly number[]) {
    const role = await openRole(fleet.role(gateway), 'gateway');
    role.close();
    const out = fleet.at(`${gateway}-${numbers.join('-')}.tgg`);
    const { fingerprint } = await sumAtGateway({
      ...{ plan: await readTrustedPlan(planned.path, role.roster), policy: smallPolicy() },
      ...{ gatewayId: role.id, signing: role.signing, strict: true, out },
      updates: numbers.map((number) => updates[number - 1] as string),
    });
    return { out, fingerprint: hex(fingerprint) };
  }

  function pathOf(fingerprint: string): string {
    return `/v1/rounds/${planned.plan}/partial-sums/${fingerprint}`;
  }

  async function send(
    as: 'gateway-1' | 'gateway-2',
    { out, fingerprint }: { readonly out: string; readonly fingerprint: string },
  ): Promise<{ readonly code?: string }> {
    const api = await fleet.api(as);
    return outcomeOf(async () => {
      await api.putFile(pathOf(fingerprint), out, anything);
      return {};
    });
  }

  async function status(): Promise<RoundStatus> {
    return (await fleet.api('owner')).getJson(`/v1/rounds/${planned.plan}`, roundStatusSchema);
  }

  it('is told to its gateway as work, with the clients that it must leave out', async () => {
    const direct = await fleet.api('client-4');
    const path = updates[3] as string;
    const { update } = await fleet.seal(4, planned.path);
    await direct.putFile(`/v1/rounds/${planned.plan}/updates/${update}`, path, anything);
    const { items } = await (await fleet.api('gateway-1')).getJson('/v1/work', workSchema);
    expect(items).to.have.length(1);
    expect(items[0]).to.deep.include({ kind: 'collect', plan: planned.plan, elsewhere: ['client-04'] });
  });

  it('is refused under another name, from another gateway, and with a client whose update is there', async () => {
    const first = await sum('gateway-1', [1, 2]);
    expect((await send('gateway-2', first)).code).to.equal('auth.not-yours');
    expect((await send('gateway-1', { ...first, fingerprint: 'b'.repeat(64) })).code).to.equal(
      'upload.other-fingerprint',
    );
    expect((await send('gateway-1', await sum('gateway-1', [1, 4]))).code).to.equal('round.contributor-sent');
    expect((await status()).received).to.have.length(1);
  });

  it('puts each contributor into the round, as often as it is sent', async () => {
    const first = await sum('gateway-1', [1, 2]);
    expect(await send('gateway-1', first)).to.deep.equal({});
    expect(await send('gateway-1', first)).to.deep.equal({});
    const { received } = await status();
    expect(received.map(({ client, gateway }) => [client, gateway])).to.have.deep.members([
      ['client-01', 'gateway-1'],
      ['client-02', 'gateway-1'],
      ['client-04', undefined],
    ]);
    const file = await (await fleet.api('owner')).getBytes(`${pathOf(first.fingerprint)}/file`, 1 << 24);
    expect(Buffer.compare(file, await readFile(first.out))).to.equal(0);
  });

  it('stays while its round needs it, and is summed with the others’', async () => {
    await collectGarbage(fleet.service.context, { closedRounds: 0, graceMs: 60_000 });
    expect(await send('gateway-2', await sum('gateway-2', [3, 5]))).to.deep.equal({});
    for (const end = Date.now() + 30_000; (await status()).aggregate === undefined; ) {
      if (Date.now() > end) throw new Error(JSON.stringify(await status()));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect((await status()).aggregate).to.deep.include({ accepted: 5, refused: [] });
  });

  it('comes too late after the sealing-off', async () => {
    const { code } = await send('gateway-1', await sum('gateway-1', [1, 2, 3]));
    expect(code).to.equal('round.full');
  });
});
