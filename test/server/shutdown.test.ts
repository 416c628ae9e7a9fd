import { watch } from 'node:fs';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { z } from 'zod';
import { ServerProcess } from '../../bench/soak/server-process.js';
import { SignedClient } from '../../lib/agents/http/signed-client.js';
import { openKeyStore } from '../../lib/custody/role-directory.js';
import { type RoundStatus, roundStatusSchema } from '../../lib/server/rounds/round-status.js';
import { ServedTestFleet } from './support/served-fleet.js';

const anything = z.unknown();

async function until<T>(what: string, find: () => Promise<T | undefined> | T | undefined): Promise<T> {
  for (const end = Date.now() + 30_000; Date.now() < end; ) {
    const found = await find();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`${what} did not come about`);
}

describe('a service that is stopped while it works', function () {
  this.timeout(120_000);

  it('gives a sum up in time, takes what was being sent, and loses nothing: the next one goes on', async () => {
    const fleet = await ServedTestFleet.create(4);
    await fleet.start();
    const owner = await fleet.api('owner');
    const [first, second] = [await fleet.plan(1, { cohort: 'a' }), await fleet.plan(1, { cohort: 'b' })];
    for (const { plan, bytes } of [first, second]) {
      await owner.putBytes(`/v1/rounds/${plan}/plan`, bytes, 'named-by-path', anything);
    }
    const { store, rounds } = fleet.service.context;
    // Each read takes a while, as from a busy disk: the sum takes longer than it is given.
    const read = store.blobs.read;
    let reads = 0;
    for (const number of [1, 2, 3, 4]) {
      const { path, update } = await fleet.seal(number, first.path);
      if (number === 4) {
        store.blobs.read = async (digest) => {
          reads += 1;
          await new Promise((resolve) => setTimeout(resolve, 500));
          return read.call(store.blobs, digest);
        };
      }
      const api = await fleet.api(`client-${number}`);
      await api.putFile(`/v1/rounds/${first.plan}/updates/${update}`, path, anything);
    }
    await until(
      'a sum',
      async () => ((await rounds.require(first.plan)).sum?.worker && reads > 4) || undefined,
    );

    const sealed = await fleet.seal(1, second.path, 2);
    const bytes = await readFile(sealed.path);
    let send = (): void => undefined;
    let sent = 0;
    async function* slowly() {
      yield bytes.subarray(0, 9000);
      sent = 9000;
      await new Promise<void>((resolve) => {
        send = resolve;
      });
      yield bytes.subarray(9000);
    }
    const client = await fleet.api('client-1');
    const answer = client.request(
      {
        method: 'PUT',
        path: `/v1/rounds/${second.plan}/updates/${sealed.update}`,
        body: {
          mediaType: 'application/octet-stream',
          bytes: undefined,
          open: async () => ({
            content: ReadableStream.from(slowly()) as ReadableStream<Uint8Array>,
            sizeBytes: bytes.length,
            close: async () => undefined,
          }),
        },
        integrity: 'named-by-path',
      },
      async (response) => response.json() as Promise<unknown>,
    );
    await until('the beginning of an upload', () => (sent > 0 ? true : undefined));
    const started = performance.now();
    const stopped = fleet.service.stop(1500);
    setTimeout(() => send(), 300);
    expect(await answer).to.deep.include({ state: 'received' });
    expect(await stopped).to.equal(true);
    expect(performance.now() - started).to.be.lessThan(5000);

    await fleet.start();
    const again = fleet.service.context.rounds;
    const kept = await again.require(second.plan);
    expect(kept.members.flatMap(({ update }) => update?.fingerprint ?? [])).to.deep.equal([sealed.update]);
    const summed = await until('the sum', async () => {
      const state = await again.require(first.plan);
      return state.phase === 'awaiting-answers' ? state : undefined;
    });
    expect(summed.members.filter(({ update }) => update !== undefined)).to.have.length(4);
    expect(summed.members.filter(({ update }) => update?.refused !== undefined)).to.deep.equal([]);
    // It was told that the first attempt was over: no lease had to run out.
    expect(summed.sum?.attempt).to.equal(2);
    await fleet.stop();
  });

  it('killed in the middle of a sum, leaves it to the next one, which clears away what is left of it', async () => {
    const fleet = await ServedTestFleet.create(4);
    const temporary = fleet.at('tmp');
    await mkdir(temporary);
    const before = process.env['TMPDIR'];
    process.env['TMPDIR'] = temporary;
    const server = await ServerProcess.create(fleet.at('server.json'), {
      store: { kind: 'embedded', directory: fleet.at('data') },
      aggregator: fleet.role('aggregator'),
      sumLeaseMs: 2000,
    });
    try {
      const api = async (role: 'owner' | `client-${number}`) => {
        const keys = await openKeyStore(fleet.role(role));
        const key = await keys.signing();
        keys.close();
        return new SignedClient({ baseUrl: server.address, key });
      };
      const { plan, bytes, path: planPath } = await fleet.plan(1);
      const owner = await api('owner');
      await owner.putBytes(`/v1/rounds/${plan}/plan`, bytes, 'named-by-path', anything);
      let killed: Promise<void> | undefined;
      const watching = watch(temporary, (_, name) => {
        if (name?.startsWith('tensorguard-sum-')) killed ??= server.kill();
      });
      for (const number of [1, 2, 3, 4]) {
        const { path, update } = await fleet.seal(number, planPath);
        await (await api(`client-${number}`)).putFile(`/v1/rounds/${plan}/updates/${update}`, path, anything);
      }
      await until('the sum', () => killed && true);
      await killed;
      watching.close();
      expect(await readdir(temporary)).to.have.length(1);
      await server.start();
      expect(await readdir(temporary)).to.deep.equal([]);
      const summed: RoundStatus = await until('the sum', async () => {
        const status = await owner.getJson(`/v1/rounds/${plan}`, roundStatusSchema);
        return status.phase === 'awaiting-answers' ? status : undefined;
      });
      expect(summed.aggregate).to.include({ accepted: 4 });
      await until('the end of the sum', async () =>
        (await readdir(temporary)).length === 0 ? true : undefined,
      );
    } finally {
      await server.kill();
      if (before === undefined) delete process.env['TMPDIR'];
      else process.env['TMPDIR'] = before;
    }
  });
});
