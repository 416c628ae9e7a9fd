import { expect } from 'chai';
import { z } from 'zod';
import { openOwner } from '../../lib/cli/owner.js';
import { readTrustedPlan } from '../../lib/custody/trusted-plan.js';
import { closeRound } from '../../lib/round/close-round.js';
import { blobOf } from '../../lib/server/files/stored-file.js';
import { collectGarbage } from '../../lib/server/rounds/retention.js';
import { ServedTestFleet } from './support/served-fleet.js';

const anything = z.unknown();

describe('what the service lets go', function () {
  this.timeout(60_000);

  let fleet: ServedTestFleet;
  before(async () => {
    fleet = await ServedTestFleet.create(4);
    await fleet.start();
  });
  after(() => fleet.stop());

  it('keeps all that an open round, the roster and enrolments refer to, however old, and drops what nothing does', async () => {
    const { context } = fleet.service;
    const { blobs } = context.store;
    const planned = await fleet.plan(1, { deadlineMs: 60_000 });
    const owner = await fleet.api('owner');
    await owner.putBytes(`/v1/rounds/${planned.plan}/plan`, planned.bytes, 'named-by-path', anything);
    const { path, update } = await fleet.seal(1, planned.path);
    const client = await fleet.api('client-1');
    await client.putFile(`/v1/rounds/${planned.plan}/updates/${update}`, path, anything);
    const stray = new Uint8Array(100).fill(7);
    const { digest } = blobOf(stray);
    await blobs.put(digest, stray);
    const before = (await blobs.usage()).blobs;
    await new Promise((resolve) => setTimeout(resolve, 20));
    const report = await collectGarbage(context, { closedRounds: 0, graceMs: 1 });
    expect(report).to.include({ removed: 1, removedBytes: 100 });
    expect(await blobs.has(digest)).to.equal(false);
    expect((await blobs.usage()).blobs).to.equal(before - 1);
    expect((await client.getBytes('/v1/roster', 1e7)).length).to.be.greaterThan(0);
    const file = await owner.getBytes(`/v1/rounds/${planned.plan}/updates/${update}/file`, 1e7);
    expect(file.length).to.be.greaterThan(1000);
  });

  it('drops the ciphertexts of a round that was closed, and keeps its plan and its record', async () => {
    const { context } = fleet.service;
    const [round] = (
      await (
        await fleet.api('owner')
      ).getJson('/v1/rounds', z.object({ rounds: z.array(z.object({ plan: z.string() })) }))
    ).rounds;
    const plan = round?.plan as string;
    const { owner, role } = await openOwner(fleet.role('owner'), { environment: {} });
    const { record } = await closeRound(
      owner,
      await readTrustedPlan(fleet.at('1-all.tgp'), role.roster),
      undefined,
      'a test',
    );
    role.close();
    const api = await fleet.api('owner');
    await api.putBytes(`/v1/rounds/${plan}/close`, record, 'content-digest', anything);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const kept = await collectGarbage(context, { closedRounds: 1, graceMs: 1 });
    expect(kept.removed).to.equal(0);
    const report = await collectGarbage(context, { closedRounds: 0, graceMs: 1 });
    // Its envelope and two chunks.
    expect(report.removed).to.equal(3);
    expect((await api.getBytes(`/v1/rounds/${plan}/plan`, 1e7)).length).to.be.greaterThan(0);
    expect(Buffer.from(await api.getBytes(`/v1/rounds/${plan}/close`, 1e7)).equals(record)).to.equal(true);
  });
});
