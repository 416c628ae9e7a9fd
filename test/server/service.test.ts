import { createServer } from 'node:net';
import { expect } from 'chai';
import { z } from 'zod';
import { hex } from '../../lib/custody/fields.js';
import { openRole } from '../../lib/custody/role-directory.js';
import { EnvironmentError } from '../../lib/errors.js';
import { issueRoster } from '../../lib/round/enrolment/issue-roster.js';
import { storeBytes } from '../../lib/server/files/stored-file.js';
import { fileRecordSchema } from '../../lib/server/rounds/stored-round.js';
import { workSchema } from '../../lib/server/routes/work.js';
import { changeJson } from '../../lib/server/state/json-state.js';
import { ROSTER_KEY } from '../../lib/server/state/keys.js';
import { closedRound } from './support/rounds.js';
import { ServedTestFleet } from './support/served-fleet.js';

describe('the service', function () {
  this.timeout(60_000);

  let fleet: ServedTestFleet;
  before(async () => {
    fleet = await ServedTestFleet.create(4);
  });
  after(() => fleet.stop());

  it('lets go of everything where its port is taken, and starts on another one', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const address = other.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    let code: unknown;
    await fleet.start({ port }).catch((error: unknown) => {
      code = (error as NodeJS.ErrnoException).code;
    });
    expect(code).to.equal('EADDRINUSE');
    // A worker that asks a closed store without a pause would never let this timer fire.
    await new Promise((resolve) => setTimeout(resolve, 50));
    await new Promise((resolve) => other.close(resolve));
    await fleet.start();
  });

  it('is ready while its store answers, and not when it does not', async () => {
    const { address, context } = fleet.service;
    expect((await fetch(`${address}/readyz`)).status).to.equal(200);
    const { state } = context.store;
    const get = state.get;
    state.get = async () => {
      throw new Error('away');
    };
    try {
      const answer = await fetch(`${address}/readyz`);
      expect(answer.status).to.equal(503);
      const { missing } = z
        .object({ missing: z.array(z.object({ name: z.string() })) })
        .parse(await answer.json());
      expect(missing.map(({ name }) => name)).to.deep.equal(['store']);
    } finally {
      state.get = get;
    }
  });

  it('tells a client of its own closed rounds, however many others were closed since', async () => {
    const { rounds } = fleet.service.context;
    const own = 'aa'.repeat(32);
    const nowMs = Date.now();
    await rounds.create(
      own,
      closedRound(own, 'mine', 1, [fleet.clientId(1), fleet.clientId(2)], nowMs - 10_000),
    );
    for (let round = 1; round <= 20; round += 1) {
      const plan = round.toString(16).padStart(64, '0');
      const eligible = [fleet.clientId(3), fleet.clientId(4)];
      await rounds.create(plan, closedRound(plan, 'theirs', round, eligible, nowMs - 1000 + round));
    }
    const { items } = await (await fleet.api('client-1')).getJson('/v1/work', workSchema);
    expect(items).to.deep.equal([{ kind: 'closed', plan: own }]);
    const theirs = await (await fleet.api('client-3')).getJson('/v1/work', workSchema);
    expect(theirs.items).to.have.length(16);
  });

  it('takes the roster that another server of its store took, although the store was away at that moment', async () => {
    const { store, fleet: served } = fleet.service.context;
    const owner = await openRole(fleet.role('owner'), 'owner');
    const issued = await issueRoster({
      ownerDirectory: fleet.role('owner'),
      signing: owner.signing,
      changes: { status: [{ id: fleet.clientId(4), to: 'revoked' }] },
    });
    owner.close();
    const file = [...(await storeBytes(store.blobs, issued.bytes))];
    const { blobs } = store;
    const read = blobs.read;
    let failures = 0;
    blobs.read = async () => {
      failures += 1;
      blobs.read = read;
      throw new EnvironmentError('store.unavailable', 'away');
    };
    const record = { fingerprint: hex(issued.fingerprint), file, atMs: Date.now() };
    await changeJson(store.state, fileRecordSchema, ROSTER_KEY, () => record);
    for (const end = Date.now() + 10_000; served.roster.body.version < 2 && Date.now() < end; ) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(failures).to.equal(1);
    expect(served.roster.body.version).to.equal(2);
    const code = await (await fleet.api('client-4'))
      .getJson('/v1/work', workSchema)
      .then(() => undefined)
      .catch((error: { readonly code: string }) => error.code);
    expect(code).to.equal('roster.client-revoked');
  });

  it('has ended only when a roster that it was taking is on the disk', async () => {
    const { service } = fleet;
    const { store, fleet: served } = service.context;
    const owner = await openRole(fleet.role('owner'), 'owner');
    const issued = await issueRoster({
      ownerDirectory: fleet.role('owner'),
      signing: owner.signing,
      changes: { status: [{ id: fleet.clientId(3), to: 'revoked' }] },
    });
    owner.close();
    const file = [...(await storeBytes(store.blobs, issued.bytes))];
    const { blobs } = store;
    const read = blobs.read.bind(blobs);
    let goOn: () => void = () => undefined;
    const isAllowed = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const begun = new Promise<void>((resolve) => {
      blobs.read = async (...parameters: Parameters<typeof read>) => {
        resolve();
        await isAllowed;
        return read(...parameters);
      };
    });
    const record = { fingerprint: hex(issued.fingerprint), file, atMs: Date.now() };
    await changeJson(store.state, fileRecordSchema, ROSTER_KEY, () => record);
    await begun;
    let hasEnded = false;
    const ended = service.stop(100).then(() => {
      hasEnded = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(hasEnded).to.equal(false);
    goOn();
    await ended;
    expect(served.roster.body.version).to.equal(issued.body.version);
    expect(Buffer.from(await served.rosterFile()).equals(issued.bytes)).to.equal(true);
  });
});
