import { expect } from 'chai';
import { z } from 'zod';
import { bytesBody } from '../../lib/agents/http/request-body.js';
import { readTrustedPlan } from '../../lib/custody/trusted-plan.js';
import { openContainer } from '../../lib/package/reader.js';
import { closeRound } from '../../lib/round/close-round.js';
import { openOwner } from '../../lib/round/owner-directory.js';
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

  async function plans(): Promise<string[]> {
    const listed = z.object({ rounds: z.array(z.object({ plan: z.string() })) });
    const { rounds } = await (await fleet.api('owner')).getJson('/v1/rounds', listed);
    return rounds.map(({ plan }) => plan);
  }

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

  it('keeps what has arrived of an upload for as long as the round would take it', async () => {
    const { context } = fleet.service;
    const { path, update } = await fleet.seal(2, fleet.at('1-all.tgp'));
    const [round] = await plans();
    const at = `/v1/rounds/${round}/updates/${update}`;
    const api = await fleet.api('client-2');
    const container = await openContainer(path, 'update');
    await api.putBytes(`${at}/envelope`, container.envelopeBytes, 'named-by-path', anything);
    for (const [chunk, name] of ['ciphertext', 'shares'].entries()) {
      const body = bytesBody(await container.readSection(name));
      await api.request(
        { method: 'PUT', path: `${at}/chunks/${chunk}`, body, integrity: 'named-by-path' },
        async () => undefined,
      );
    }
    await container.close();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect((await collectGarbage(context, { closedRounds: 0, graceMs: 1 })).removed).to.equal(0);
    const ended = await api.sendJson('POST', `${at}/complete`, {}, z.object({ state: z.string() }));
    expect(ended.state).to.equal('received');
  });

  it('drops the ciphertexts of a round that was closed, and keeps its plan and its record', async () => {
    const { context } = fleet.service;
    const [plan] = await plans();
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
    const late = await fleet.seal(3, fleet.at('1-all.tgp'));
    const { blobs } = context.store;
    const stored = (await blobs.usage()).blobs;
    const api3 = await fleet.api('client-3');
    const code = await api3
      .putFile(`/v1/rounds/${plan}/updates/${late.update}`, late.path, anything)
      .catch((error: { readonly code: string }) => error.code);
    expect(code).to.equal('round.ended');
    // What comes when it is over costs no storage.
    expect((await blobs.usage()).blobs).to.equal(stored);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const kept = await collectGarbage(context, { closedRounds: 1, graceMs: 1 });
    expect(kept.removed).to.equal(0);
    const report = await collectGarbage(context, { closedRounds: 0, graceMs: 1 });
    // Of two updates the envelope and two chunks.
    expect(report.removed).to.equal(6);
    // The next sweeps find a round whose envelopes are gone.
    expect((await collectGarbage(context, { closedRounds: 0, graceMs: 1 })).removed).to.equal(0);
    expect((await api.getBytes(`/v1/rounds/${plan}/plan`, 1e7)).length).to.be.greaterThan(0);
    expect(Buffer.from(await api.getBytes(`/v1/rounds/${plan}/close`, 1e7)).equals(record)).to.equal(true);
  });
});
