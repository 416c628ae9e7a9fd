import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { expect } from 'chai';
import { z } from 'zod';
import { ApiRefusedError } from '../../lib/agents/http/api-errors.js';
import { bytesBody } from '../../lib/agents/http/request-body.js';
import { signRequest } from '../../lib/agents/http/request-signer.js';
import type { SignedClient } from '../../lib/agents/http/signed-client.js';
import { openKeyStore, openRole } from '../../lib/custody/role-directory.js';
import { openContainer } from '../../lib/package/reader.js';
import { issueRoster } from '../../lib/round/enrolment/issue-roster.js';
import { roundStatusSchema } from '../../lib/server/rounds/round-status.js';
import { keyOf } from '../../lib/server/rounds/stored-round.js';
import { changeJson } from '../../lib/server/state/json-state.js';
import { type PlannedFile, ServedTestFleet } from './support/served-fleet.js';

const progress = z.object({
  state: z.string(),
  missing: z.array(z.number()),
  code: z.string().optional(),
  reason: z.string().optional(),
});

async function refusal(action: () => Promise<unknown>): Promise<[number, string]> {
  try {
    await action();
  } catch (error) {
    if (error instanceof ApiRefusedError) return [error.status, error.code];
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('updates that come to the service', function () {
  this.timeout(120_000);

  let fleet: ServedTestFleet;
  let planned: PlannedFile;
  let first: SignedClient;
  let sealed: { readonly path: string; readonly update: string };
  let bytes: Uint8Array;

  before(async () => {
    fleet = await ServedTestFleet.create(5);
    await fleet.start();
    planned = await fleet.plan(1, { deadlineMs: 100_000 });
    const owner = await fleet.api('owner');
    await owner.putBytes(`/v1/rounds/${planned.plan}/plan`, planned.bytes, 'named-by-path', z.unknown());
    first = await fleet.api('client-1');
    sealed = await fleet.seal(1, planned.path);
    bytes = new Uint8Array(await readFile(sealed.path));
  });
  after(() => fleet.stop());

  const at = (update: string): string => `/v1/rounds/${planned.plan}/updates/${update}`;
  const put = (client: SignedClient, path: string, data: Uint8Array): Promise<unknown> =>
    client.putBytes(path, data, 'named-by-path', progress);
  const status = async () =>
    (await fleet.api('owner')).getJson(`/v1/rounds/${planned.plan}`, roundStatusSchema);

  function flipped(index: number): Uint8Array {
    const changed = Uint8Array.from(bytes);
    changed[index] = (changed[index] ?? 0) ^ 1;
    return changed;
  }

  it('are refused where a byte of them was changed, whichever, and the round has none of it', async () => {
    const container = await openContainer(bytes, 'update');
    const envelope = container.envelopeBytes.length;
    await container.close();
    expect(await refusal(() => put(first, at(sealed.update), flipped(envelope + 5)))).to.deep.equal([
      422,
      'container.digest-mismatch',
    ]);
    expect(await refusal(() => put(first, at(sealed.update), flipped(bytes.length - 1)))).to.deep.equal([
      422,
      'container.digest-mismatch',
    ]);
    expect((await refusal(() => put(first, at(sealed.update), flipped(60))))[0]).to.be.oneOf([400, 409, 422]);
    expect((await refusal(() => put(first, at(sealed.update), flipped(2))))[1]).to.equal(
      'container.bad-magic',
    );
    const now = await status();
    expect(now.received).to.deep.equal([]);
    expect(now.refusals[0]).to.include({ client: fleet.clientId(1), code: 'container.digest-mismatch' });
  });

  it('are refused under another name, another client’s signature, and by another client', async () => {
    const other = 'ab'.repeat(32);
    expect(await refusal(() => put(first, at(other), bytes))).to.deep.equal([
      409,
      'upload.other-fingerprint',
    ]);
    const second = await fleet.api('client-2');
    expect(await refusal(() => put(second, at(sealed.update), bytes))).to.deep.equal([403, 'auth.not-yours']);
    const elsewhere = `/v1/rounds/${'cd'.repeat(32)}/updates/${sealed.update}`;
    expect(await refusal(() => put(first, elsewhere, bytes))).to.deep.equal([404, 'round.unknown']);
  });

  it('are refused before their body is read where they are larger than the roster allows', async () => {
    const store = await openKeyStore(fleet.role('client-1'));
    const key = await store.signing();
    store.close();
    const { address } = fleet.service;
    const target = at(sealed.update);
    const headers = await signRequest(
      key,
      { method: 'PUT', target, authority: new URL(address).host },
      Date.now(),
    );
    const answered = await new Promise<[number, string]>((resolve, reject) => {
      const sent = request(
        `${address}${target}`,
        {
          method: 'PUT',
          headers: { ...headers, 'content-type': 'application/octet-stream', 'content-length': 50_000_000 },
        },
        (response) => {
          let text = '';
          response.on('data', (part: Buffer) => {
            text += part.toString();
          });
          response.on('end', () => {
            sent.destroy();
            resolve([response.statusCode ?? 0, (JSON.parse(text) as { code: string }).code]);
          });
        },
      );
      sent.on('error', reject);
      // Nothing of the body: an answer comes all the same.
      sent.flushHeaders();
    });
    expect(answered).to.deep.equal([413, 'container.too-large']);
  });

  it('are refused chunk by chunk where one is another, too long, or none of theirs', async () => {
    const fifth = await fleet.api('client-5');
    const { path, update } = await fleet.seal(5, planned.path);
    const whole = new Uint8Array(await readFile(path));
    const container = await openContainer(whole, 'update');
    const sections = [await container.readSection('ciphertext'), await container.readSection('shares')];
    await put(fifth, `${at(update)}/envelope`, container.envelopeBytes);
    await container.close();
    const chunk = (index: number, data: Uint8Array): Promise<unknown> =>
      fifth.request(
        {
          method: 'PUT',
          path: `${at(update)}/chunks/${index}`,
          body: bytesBody(data),
          integrity: 'named-by-path',
        },
        async () => undefined,
      );
    const [ciphertext, shares] = sections as [Uint8Array, Uint8Array];
    expect(await refusal(() => chunk(0, shares))).to.deep.equal([400, 'upload.wrong-length']);
    const changed = Uint8Array.from(shares);
    changed[9] = (changed[9] ?? 0) ^ 4;
    expect(await refusal(() => chunk(1, changed))).to.deep.equal([422, 'container.digest-mismatch']);
    expect(await refusal(() => chunk(2, shares))).to.deep.equal([409, 'upload.no-such-chunk']);
    expect(await fifth.getJson(at(update), progress)).to.deep.include({
      state: 'incomplete',
      missing: [0, 1],
    });
    const complete = () => fifth.sendJson('POST', `${at(update)}/complete`, {}, progress);
    expect(await refusal(complete)).to.deep.equal([409, 'http.refused']);
    await chunk(0, ciphertext);
    await chunk(1, shares);
    const ended = await complete();
    expect(ended.state).to.equal('received');
    // The whole file, by somebody who lost the answer, is the same update.
    await put(fifth, at(update), whole);
    expect((await status()).received.map(({ client }) => client)).to.deep.equal([fleet.clientId(5)]);
  });

  it('go on after a cut from what had arrived, once the rest holds', async () => {
    // The whole file with a changed last byte was refused; all but its last chunk is here.
    const found = await first.getJson(at(sealed.update), progress);
    expect(found).to.include({ state: 'incomplete', code: 'container.digest-mismatch' });
    expect(found.missing).to.deep.equal([1]);
    const received = (await put(first, at(sealed.update), bytes)) as { readonly state: string };
    expect(received.state).to.equal('received');
    expect((await first.getJson(at(sealed.update), progress)).state).to.equal('received');
  });

  it('are not what another client’s attempt under their name makes of them, and are begun a few times only', async () => {
    const fourth = await fleet.api('client-4');
    const { path, update } = await fleet.seal(4, planned.path);
    const container = await openContainer(path, 'update');
    await container.close();
    const begin = () => put(fourth, `${at(update)}/envelope`, container.envelopeBytes);
    const { state } = fleet.service.context.store;
    const key = keyOf('begun', planned.plan, fleet.clientId(4));
    const fingerprints = Array.from({ length: 16 }, (_, i) => i.toString(16).padStart(64, '0'));
    await changeJson(state, z.unknown(), key, () => ({ fingerprints: fingerprints.slice(1) }));
    await begin();
    await begin();
    const second = await fleet.api('client-2');
    expect(await refusal(() => put(second, at(update), bytes))).to.deep.equal([
      409,
      'upload.other-fingerprint',
    ]);
    expect(await fourth.getJson(at(update), progress)).to.deep.equal({
      state: 'incomplete',
      missing: [0, 1],
    });
    await changeJson(state, z.unknown(), key, () => ({ fingerprints }));
    expect(await refusal(begin)).to.deep.equal([409, 'upload.too-many']);
    await changeJson(state, z.unknown(), key, () => ({ fingerprints: [] }));
  });

  it('are refused from the moment that the roster revokes their client', async () => {
    const third = await fleet.api('client-3');
    const update = await fleet.seal(3, planned.path);
    const owner = await openRole(fleet.role('owner'), 'owner');
    const issued = await issueRoster({
      ownerDirectory: fleet.role('owner'),
      signing: owner.signing,
      changes: { status: [{ id: fleet.clientId(3), to: 'revoked' }] },
    });
    owner.close();
    const api = await fleet.api('owner');
    await api.putBytes('/v1/roster', issued.bytes, 'content-digest', z.object({ version: z.literal(2) }));
    const file = new Uint8Array(await readFile(update.path));
    expect(await refusal(() => put(third, at(update.update), file))).to.deep.equal([
      403,
      'roster.client-revoked',
    ]);
    expect(await refusal(() => third.getJson('/v1/work', z.unknown()))).to.deep.equal([
      403,
      'roster.client-revoked',
    ]);
    // Others go on, in the same round, under the roster that it was planned under.
    const fourth = await fleet.api('client-4');
    const { path, update: name } = await fleet.seal(4, planned.path);
    await put(fourth, at(name), new Uint8Array(await readFile(path)));
    expect((await status()).received).to.have.length(3);
  });
});
