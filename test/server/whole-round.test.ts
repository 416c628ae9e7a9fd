import { writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import { z } from 'zod';
import { bytesBody } from '../../lib/agents/http/request-body.js';
import { answerRound } from '../../lib/custody/custodian.js';
import { openCustodian } from '../../lib/custody/custodian-directory.js';
import { readTrustedPlan } from '../../lib/custody/trusted-plan.js';
import { EnvironmentError } from '../../lib/errors.js';
import { openContainer } from '../../lib/package/reader.js';
import { closeRound } from '../../lib/round/close-round.js';
import { openRound } from '../../lib/round/open-round.js';
import { openOwner } from '../../lib/round/owner-directory.js';
import { type RoundStatus, roundStatusSchema } from '../../lib/server/rounds/round-status.js';
import { type WorkItem, workSchema } from '../../lib/server/routes/work.js';
import { ServedTestFleet } from './support/served-fleet.js';

const anything = z.unknown();

describe('a round through the service', function () {
  this.timeout(120_000);

  let fleet: ServedTestFleet;
  before(async () => {
    fleet = await ServedTestFleet.create(4);
    await fleet.start();
  });
  after(() => fleet.stop());

  async function work(role: Parameters<ServedTestFleet['role']>[0]): Promise<WorkItem[]> {
    return (await (await fleet.api(role)).getJson('/v1/work', workSchema)).items;
  }

  async function status(plan: string): Promise<RoundStatus> {
    return (await fleet.api('owner')).getJson(`/v1/rounds/${plan}`, roundStatusSchema);
  }

  /** An answer that could not be stored is one that the round does not have: it is asked for again. */
  async function expectNothingSaidBeforeItIsStored(plan: string, answer: Uint8Array): Promise<void> {
    const { blobs } = fleet.service.context.store;
    const putMany = blobs.putMany;
    blobs.putMany = async () => {
      throw new EnvironmentError('storage.full', 'no space');
    };
    try {
      const api = await fleet.api('custodian-1');
      let code: unknown;
      await api
        .putBytes(`/v1/rounds/${plan}/answers/custodian-1`, answer, 'content-digest', anything)
        .catch((error: { readonly code: string }) => {
          code = error.code;
        });
      expect(code).to.equal('server.unavailable');
    } finally {
      blobs.putMany = putMany;
    }
    expect((await status(plan)).answers).to.deep.equal([]);
    expect((await work('custodian-1'))[0]).to.include({ kind: 'answer', plan });
  }

  async function until(plan: string, phase: RoundStatus['phase']): Promise<RoundStatus> {
    for (const end = Date.now() + 30_000; Date.now() < end; ) {
      const now = await status(plan);
      if (now.phase === phase) return now;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`the round did not become ${phase}: ${JSON.stringify(await status(plan))}`);
  }

  it('takes a plan, updates whole and in chunks, sums them, takes answers, and ends with the owner’s record', async () => {
    const planned = await fleet.plan(1, { deadlineMs: 60_000 });
    const { plan } = planned;
    const owner = await fleet.api('owner');
    await owner.putBytes(`/v1/rounds/${plan}/plan`, planned.bytes, 'named-by-path', roundStatusSchema);
    // Again, by whoever lost the answer.
    const coordinator = await fleet.api('coordinator');
    const again = await coordinator.putBytes(
      `/v1/rounds/${plan}/plan`,
      planned.bytes,
      'named-by-path',
      roundStatusSchema,
    );
    expect(again).to.include({ phase: 'open', quorum: 3, eligible: 4, threshold: 3 });

    const [seal] = await work('client-1');
    expect(seal).to.include({ kind: 'seal', plan, round: 1, cohort: 'all' });
    const updates: string[] = [];
    for (const number of [1, 2, 3, 4]) {
      const { path, update } = await fleet.seal(number, planned.path);
      updates.push(path);
      const api = await fleet.api(`client-${number}` as 'client-1');
      if (number < 4) {
        const sent = await api.putFile(
          `/v1/rounds/${plan}/updates/${update}`,
          path,
          z.object({ state: z.string() }),
        );
        expect(sent.state).to.equal('received');
        continue;
      }
      const at = `/v1/rounds/${plan}/updates/${update}`;
      const container = await openContainer(path, 'update');
      const progress = z.object({ state: z.string(), missing: z.array(z.number()) });
      const begun = await api.putBytes(`${at}/envelope`, container.envelopeBytes, 'named-by-path', progress);
      expect(begun).to.deep.equal({ state: 'incomplete', missing: [0, 1] });
      const sections = await Promise.all(['ciphertext', 'shares'].map((name) => container.readSection(name)));
      await container.close();
      await api.request(
        {
          method: 'PUT',
          path: `${at}/chunks/1`,
          body: bytesBody(sections[1] as Uint8Array),
          integrity: 'named-by-path',
        },
        async () => undefined,
      );
      expect(await api.getJson(at, progress)).to.deep.equal({ state: 'incomplete', missing: [0] });
      await api.request(
        {
          method: 'PUT',
          path: `${at}/chunks/0`,
          body: bytesBody(sections[0] as Uint8Array),
          integrity: 'named-by-path',
        },
        async () => undefined,
      );
      const ended = await api.sendJson('POST', `${at}/complete`, {}, progress);
      expect(ended.missing).to.deep.equal([]);
    }
    const summed = await until(plan, 'awaiting-answers');
    expect(summed.aggregate).to.include({ accepted: 4 });
    expect(summed.received.map(({ client }) => client).sort()).to.deep.equal(
      [1, 2, 3, 4].map((n) => fleet.clientId(n)),
    );

    for (const number of [1, 2, 3]) {
      const role = `custodian-${number}` as 'custodian-1';
      const [item] = await work(role);
      expect(item).to.include({ kind: 'answer', plan });
      const api = await fleet.api(role);
      const aggregate = fleet.at(`${number}.tga`);
      await writeFile(aggregate, await api.getBytes(`/v1/rounds/${plan}/aggregate`, 10_000_000));
      const { custodian, role: opened, close } = await openCustodian(fleet.role(role));
      const trusted = await readTrustedPlan(planned.path, opened.roster);
      const container = await openContainer(aggregate, 'aggregate');
      const { answer } = await answerRound(custodian, trusted, container);
      await container.close();
      close();
      await writeFile(fleet.at(`${number}.tgs`), answer);
      if (number === 1) await expectNothingSaidBeforeItIsStored(plan, answer);
      await api.putBytes(
        `/v1/rounds/${plan}/answers/${custodian.id}`,
        answer,
        'content-digest',
        roundStatusSchema,
      );
    }
    const [open] = await work('owner');
    expect(open).to.deep.equal({
      kind: 'open',
      plan,
      answers: ['custodian-1', 'custodian-2', 'custodian-3'],
    });
    const answers: string[] = [];
    for (const custodian of ['custodian-1', 'custodian-2', 'custodian-3']) {
      const path = fleet.at(`opened-${custodian}.tgs`);
      await writeFile(path, await owner.getBytes(`/v1/rounds/${plan}/answers/${custodian}`, 1_000_000));
      answers.push(path);
    }
    const opened = await openOwner(fleet.role('owner'), { environment: {} });
    const trusted = await readTrustedPlan(planned.path, opened.role.roster);
    const aggregate = fleet.at('owner.tga');
    await writeFile(aggregate, await owner.getBytes(`/v1/rounds/${plan}/aggregate`, 10_000_000));
    const report = await openRound({
      owner: opened.owner,
      plan: trusted,
      aggregate,
      answers,
      verify: updates,
      out: fleet.at('average'),
    });
    expect(report).to.include({ contributors: 4, verified: true });
    const { record } = await closeRound(opened.owner, trusted, aggregate, undefined);
    opened.role.close();
    const closed = await owner.putBytes(
      `/v1/rounds/${plan}/close`,
      record,
      'content-digest',
      roundStatusSchema,
    );
    expect(closed).to.include({ phase: 'opened' });
    expect(
      Buffer.from(await (await fleet.api('client-1')).getBytes(`/v1/rounds/${plan}/close`, 1e6)).equals(
        record,
      ),
    ).to.equal(true);
    expect((await work('client-1'))[0]).to.deep.equal({ kind: 'closed', plan });
    const kinds = (await work('owner')).map(({ kind }) => kind);
    expect(kinds).to.have.members(['release', 'plan']);
  });

  it('goes on where it was after a restart, and fires deadlines that passed meanwhile', async () => {
    const planned = await fleet.plan(2, { deadlineMs: 4000 });
    const { plan } = planned;
    await (await fleet.api('owner')).putBytes(
      `/v1/rounds/${plan}/plan`,
      planned.bytes,
      'named-by-path',
      anything,
    );
    for (const number of [1, 2, 3]) {
      const sealed = await fleet.seal(number, planned.path, 2);
      const api = await fleet.api(`client-${number}` as 'client-1');
      await api.putFile(`/v1/rounds/${plan}/updates/${sealed.update}`, sealed.path, anything);
    }
    await fleet.stop();
    await new Promise((resolve) => setTimeout(resolve, 4000));
    await fleet.start();
    const summed = await until(plan, 'awaiting-answers');
    expect(summed.aggregate?.accepted).to.equal(3);
    expect(summed.received).to.have.length(3);
  });

  it('sums again where its store was away for a moment, and holds nobody’s update responsible', async () => {
    const planned = await fleet.plan(3, { deadlineMs: 60_000 });
    const { plan } = planned;
    const owner = await fleet.api('owner');
    await owner.putBytes(`/v1/rounds/${plan}/plan`, planned.bytes, 'named-by-path', anything);
    const { blobs } = fleet.service.context.store;
    const read = blobs.read;
    let failures = 0;
    for (const number of [1, 2, 3, 4]) {
      const sealed = await fleet.seal(number, planned.path, 3);
      const container = await openContainer(sealed.path, 'update');
      await container.close();
      const [first] = container.header.sections[0]?.digests ?? [];
      const chunk = Buffer.from(first ?? []).toString('hex');
      if (number === 2) {
        blobs.read = async (digest) => {
          if (digest !== chunk || failures > 0) return read.call(blobs, digest);
          failures += 1;
          throw new EnvironmentError('store.unavailable', 'away');
        };
      }
      const api = await fleet.api(`client-${number}` as 'client-1');
      await api.putFile(`/v1/rounds/${plan}/updates/${sealed.update}`, sealed.path, anything);
    }
    const summed = await until(plan, 'awaiting-answers');
    blobs.read = read;
    expect(failures).to.equal(1);
    expect(summed.aggregate).to.include({ accepted: 4 });
    expect(summed.aggregate?.refused).to.deep.equal([]);
  });

  it('loses one update where the store has lost its envelope, not the round', async () => {
    const planned = await fleet.plan(4, { deadlineMs: 60_000 });
    const { plan } = planned;
    const owner = await fleet.api('owner');
    await owner.putBytes(`/v1/rounds/${plan}/plan`, planned.bytes, 'named-by-path', anything);
    const { intake, store } = fleet.service.context;
    const updates: string[] = [];
    for (const number of [1, 2, 3, 4]) {
      const { update, path } = await fleet.seal(number, planned.path, 4);
      updates.push(update);
      const api = await fleet.api(`client-${number}` as 'client-1');
      await api.putFile(`/v1/rounds/${plan}/updates/${update}`, path, anything);
      // Before the last one comes, with which the sum begins.
      if (number !== 2) continue;
      const envelope = (await intake.find(plan, update))?.file[0]?.digest ?? '';
      expect(await store.blobs.remove(envelope)).to.equal(true);
    }
    const summed = await until(plan, 'awaiting-answers');
    expect(summed.aggregate).to.include({ accepted: 3 });
    expect(summed.aggregate?.refused.map(({ fingerprint, code }) => [fingerprint, code])).to.deep.equal([
      [updates[1], 'store.blob-missing'],
    ]);
  });
});
