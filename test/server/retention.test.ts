import { expect } from 'chai';
import { z } from 'zod';
import { bytesBody } from '../../lib/agents/http/request-body.js';
import { readTrustedPlan } from '../../lib/custody/trusted-plan.js';
import { openContainer } from '../../lib/package/reader.js';
import { closeRound } from '../../lib/round/close-round.js';
import { openOwner } from '../../lib/round/owner-directory.js';
import { blobOf } from '../../lib/server/files/stored-file.js';
import { requireKept } from '../../lib/server/rounds/kept-files.js';
import { collectGarbage } from '../../lib/server/rounds/retention.js';
import type { StateStore } from '../../lib/store/store.js';
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

  async function keysBelow(state: StateStore, prefix: string): Promise<string[]> {
    const keys: string[] = [];
    for await (const { key } of state.list(prefix)) keys.push(key);
    return keys;
  }

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
    const { state } = context.store;
    expect(kept.removedRecords).to.equal(0);
    expect(await keysBelow(state, 'upload')).to.have.length(2);
    const report = await collectGarbage(context, { closedRounds: 0, graceMs: 1 });
    // Of two updates the envelope and two chunks; and for each its record and its client's.
    expect(report).to.include({ removed: 6, removedRecords: 4 });
    expect([...(await keysBelow(state, 'upload')), ...(await keysBelow(state, 'begun'))]).to.deep.equal([]);
    // The next sweeps find a round whose envelopes are gone.
    expect((await collectGarbage(context, { closedRounds: 0, graceMs: 1 })).removed).to.equal(0);
    expect((await api.getBytes(`/v1/rounds/${plan}/plan`, 1e7)).length).to.be.greaterThan(0);
    expect(Buffer.from(await api.getBytes(`/v1/rounds/${plan}/close`, 1e7)).equals(record)).to.equal(true);
  });

  it('says of what it has let go that it is gone, and of the rest what became of it', async () => {
    const [plan] = await plans();
    const owner = await fleet.api('owner');
    const sent = await fleet.seal(1, fleet.at('1-all.tgp'));
    const never = 'ab'.repeat(32);
    const answer = async (path: string) =>
      owner
        .getBytes(`/v1/rounds/${plan}${path}`, 1e7)
        .then(() => 200)
        .catch(({ status, code }: { status: number; code: string }) => [status, code]);
    expect(await answer(`/updates/${sent.update}/file`)).to.deep.equal([410, 'request.gone']);
    expect(await answer(`/updates/${never}/file`)).to.deep.equal([404, 'request.not-found']);
    const client = await fleet.api('client-1');
    const at = `/v1/rounds/${plan}/updates/${sent.update}`;
    expect(await client.getJson(at, z.object({ state: z.string() }))).to.deep.equal({ state: 'received' });
    const other = await fleet.api('client-2');
    const refused = await other.getJson(at, anything).catch(({ code }: { code: string }) => code);
    expect(refused).to.equal('auth.not-yours');
  });

  it('says that a sum is gone, and that one of an open round is lost', async () => {
    const { store, rounds } = fleet.service.context;
    const [plan = ''] = await plans();
    const closed = await rounds.require(plan);
    const { close: _, ...open } = closed;
    const missing = [{ digest: 'cd'.repeat(32), length: 5 }];
    const code = (state: typeof closed) =>
      requireKept(store.blobs, state, missing).catch((error: { code: string }) => error.code);
    expect(await code(closed)).to.equal('request.gone');
    expect(await code(open)).to.equal('store.blob-missing');
  });
});
