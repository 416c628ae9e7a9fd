import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { z } from 'zod';
import { readTrustedPlan } from '../../lib/custody/trusted-plan.js';
import { closeRound } from '../../lib/round/close-round.js';
import { openOwner } from '../../lib/round/owner-directory.js';
import { type RoundStatus, roundStatusSchema } from '../../lib/server/rounds/round-status.js';
import { type PlannedFile, ServedTestFleet } from './support/served-fleet.js';

const anything = z.unknown();
const BAD = 4;

describe('a client whose updates do not hold', function () {
  this.timeout(120_000);

  let fleet: ServedTestFleet;
  before(async () => {
    fleet = await ServedTestFleet.create(4);
    await fleet.start();
  });
  after(() => fleet.stop());

  async function open(round: number): Promise<{ planned: PlannedFile; status: RoundStatus }> {
    const planned = await fleet.plan(round);
    const owner = await fleet.api('owner');
    const at = `/v1/rounds/${planned.plan}/plan`;
    return { planned, status: await owner.putBytes(at, planned.bytes, 'named-by-path', roundStatusSchema) };
  }

  /** @param flip changes a byte on its way */
  async function send(number: number, { path: planPath, plan }: PlannedFile, round: number, flip: boolean) {
    const { path, update } = await fleet.seal(number, planPath, round);
    const bytes = new Uint8Array(await readFile(path));
    const last = bytes.length - 1;
    if (flip) bytes[last] = (bytes[last] as number) ^ 1;
    const api = await fleet.api(`client-${number}`);
    return api
      .putBytes(
        `/v1/rounds/${plan}/updates/${update}`,
        bytes,
        'named-by-path',
        z.object({ state: z.string() }),
      )
      .then(({ state }) => state)
      .catch(({ code }: { readonly code: string }) => code);
  }

  /** Ends a round without opening it. */
  async function close({ plan, path }: PlannedFile): Promise<void> {
    const api = await fleet.api('owner');
    await api.sendJson('POST', `/v1/rounds/${plan}/abort`, { reason: 'a test' }, anything);
    const { owner, role } = await openOwner(fleet.role('owner'), { environment: {} });
    const trusted = await readTrustedPlan(path, role.roster);
    const { record } = await closeRound(owner, trusted, undefined, 'a test');
    role.close();
    await api.putBytes(`/v1/rounds/${plan}/close`, record, 'content-digest', anything);
  }

  it('is left out after some rounds, whatever server it is, and told so', async () => {
    for (let round = 1; round <= 4; round += 1) {
      const { planned, status } = await open(round);
      expect(status.eligible).to.equal(4);
      expect(await send(BAD, planned, round, true)).to.equal('container.digest-mismatch');
      await close(planned);
      // What is known of a client is in the store.
      await fleet.stop();
      await fleet.start();
    }
    const { planned, status } = await open(5);
    expect(status.eligible).to.equal(3);
    expect(await send(BAD, planned, 5, false)).to.equal('round.client-not-eligible');
    expect(await send(1, planned, 5, false)).to.equal('received');
    const health = await fleet.service.context.health.of('balanced', fleet.clientId(BAD));
    expect(health).to.include({ observedRounds: 4, suspended: true });
    await close(planned);
  });

  it('comes back after a time in which it was not asked', async () => {
    const { status } = await open(40);
    expect(status.eligible).to.equal(4);
  });
});
