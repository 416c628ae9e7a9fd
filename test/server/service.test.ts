import { createServer } from 'node:net';
import { expect } from 'chai';
import { z } from 'zod';
import { workSchema } from '../../lib/server/routes/work.js';
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
});
