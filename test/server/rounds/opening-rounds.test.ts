import { expect } from 'chai';
import { z } from 'zod';
import { hex } from '../../../lib/custody/fields.js';
import { storeBytes } from '../../../lib/server/files/stored-file.js';
import { RoundSlots } from '../../../lib/server/rounds/round-slots.js';
import { keepFileRecord } from '../../../lib/server/rounds/stored-round.js';
import { type PlannedFile, ServedTestFleet } from '../support/served-fleet.js';

const phased = z.object({ phase: z.string() });

describe('the plan of a round', function () {
  this.timeout(60_000);

  let fleet: ServedTestFleet;
  before(async () => {
    fleet = await ServedTestFleet.create(4);
    await fleet.start();
  });
  after(() => fleet.stop());

  /** @returns the phase that the round is in then, or the code that the plan was refused with */
  async function open({ plan, bytes }: PlannedFile): Promise<string> {
    const owner = await fleet.api('owner');
    return owner
      .putBytes(`/v1/rounds/${plan}/plan`, bytes, 'named-by-path', phased)
      .then(({ phase }) => phase)
      .catch(({ code }: { readonly code: string }) => code);
  }

  async function roundOf({ plan }: PlannedFile): Promise<string | undefined> {
    return (await fleet.service.context.rounds.read(plan))?.phase;
  }

  /** What a process leaves that dies after it has taken a round and before it has opened it. */
  async function dieInBetween({ plan, bytes }: PlannedFile): Promise<void> {
    const { store, fleet: served } = fleet.service.context;
    const record = { fingerprint: plan, file: await storeBytes(store.blobs, bytes), atMs: Date.now() };
    await keepFileRecord(store.state, record, 'plan', plan);
    const { body, fingerprint } = await served.plan(bytes);
    expect(hex(fingerprint)).to.equal(plan);
    expect(await new RoundSlots(store.state).take(body, plan)).to.equal(plan);
  }

  it('is the first one that comes: another one of the same cohort and number is refused', async () => {
    const [first, second] = [await fleet.plan(1), await fleet.plan(1)];
    expect(first.plan).to.not.equal(second.plan);
    expect(await open(first)).to.equal('open');
    expect(await open(second)).to.equal('round.another-plan');
    expect(await roundOf(second)).to.equal(undefined);
    expect(await open(first)).to.equal('open');
    // Other rounds have plans of their own.
    expect(await open(await fleet.plan(1, { cohort: 'north' }))).to.equal('open');
    expect(await open(await fleet.plan(2))).to.equal('open');
  });

  it('is one of several that come at the same time', async () => {
    const plans = await Promise.all(Array.from({ length: 5 }, () => fleet.plan(3)));
    const outcomes = await Promise.all(plans.map(open));
    expect(outcomes.sort()).to.deep.equal(['open', ...new Array(4).fill('round.another-plan')]);
    const phases = await Promise.all(plans.map(roundOf));
    expect(phases.filter((phase) => phase !== undefined)).to.deep.equal(['open']);
  });

  it('is the one that took the round, although its process died before it opened it', async () => {
    const [first, second] = [await fleet.plan(4), await fleet.plan(4)];
    await dieInBetween(first);
    expect(await roundOf(first)).to.equal(undefined);
    expect(await open(second)).to.equal('round.another-plan');
    expect(await roundOf(first)).to.equal('open');
    expect(await open(first)).to.equal('open');
  });

  it('is the next one where nobody can open the first any more', async () => {
    const first = await fleet.plan(5, { deadlineMs: 300 });
    await dieInBetween(first);
    await new Promise((resolve) => setTimeout(resolve, 400));
    const second = await fleet.plan(5);
    expect(await open(second)).to.equal('open');
    expect(await open(first)).to.equal('round.deadline-passed');
    expect(await open(await fleet.plan(5))).to.equal('round.another-plan');
  });
});
