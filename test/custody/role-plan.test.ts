import { expect } from 'chai';
import { readPlanToFinish, readPlanToServe } from '../../lib/custody/role-plan.js';
import { requireAggregator, requireClient, type TrustedRoster } from '../../lib/custody/roster.js';
import { acceptRoster } from '../../lib/custody/roster-archive.js';
import type { RosterBody } from '../../lib/package/messages/roster.js';
import { rosterBody, signRoster } from '../round/support/members.js';
import { signPlan, TestRound } from '../round/support/round.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

describe('a plan under a roster that has a successor', () => {
  let round: TestRound;
  let directory = '';
  let first: TrustedRoster;
  let planFile: Uint8Array;

  before(async () => {
    round = await TestRound.start(await temporaryDirectory(), { clients: 3, custodians: 2 });
  });

  beforeEach(async () => {
    directory = await temporaryDirectory();
    first = await acceptRoster(directory, await signed({ version: 1 }));
    planFile = await planUnder(first);
  });

  const signed = (changes: Partial<RosterBody>): Promise<Uint8Array> =>
    signRoster(round.members, { ...rosterBody(round.members), ...changes });

  const planUnder = ({ body, fingerprint }: TrustedRoster): Promise<Uint8Array> =>
    signPlan(round.members, {
      ...round.plan.body,
      rosterVersion: body.version,
      rosterFingerprint: fingerprint,
    });

  /** A successor with changes to the members of the first one. */
  const succeed = async (changes: Partial<RosterBody>): Promise<TrustedRoster> =>
    acceptRoster(directory, await signed({ version: 2, ...changes }));

  it('is served and finished under the roster that it names', async () => {
    const newest = await succeed({});
    for (const read of [readPlanToServe, readPlanToFinish]) {
      expect((await read(directory, planFile, newest)).roster.body.version).to.equal(1);
    }
  });

  it('is not served for clients that were revoked since, and finished with them', async () => {
    const [one, ...rest] = first.body.clients as [RosterBody['clients'][number]];
    const newest = await succeed({ clients: [{ ...one, status: 'revoked' }, ...rest] });
    const served = await readPlanToServe(directory, planFile, newest);
    await expectRefusal('roster.client-revoked', () => requireClient(served.roster, one.id));
    const finished = await readPlanToFinish(directory, planFile, newest);
    expect(requireClient(finished.roster, one.id).id).to.equal(one.id);
  });

  it('is served for no aggregator whose keys were replaced since, nor for one that only the successor has', async () => {
    const [aggregator] = first.body.aggregators as [RosterBody['aggregators'][number]];
    const keys = { ed25519: new Uint8Array(32).fill(9) };
    const newest = await succeed({
      aggregators: [
        { ...aggregator, keys },
        { ...aggregator, id: 'second' },
      ],
    });
    const { roster } = await readPlanToServe(directory, planFile, newest);
    await expectRefusal('roster.unknown-aggregator', () => requireAggregator(roster, aggregator.id));
    await expectRefusal('roster.unknown-aggregator', () => requireAggregator(roster, 'second'));
  });

  it('is not served where the coordinator that signed it was replaced since, however new the plan is', async () => {
    const keys = { ed25519: new Uint8Array(32).fill(9) };
    const newest = await succeed({ coordinator: { keys } });
    await expectRefusal('container.wrong-signer', () => readPlanToServe(directory, planFile, newest));
    expect((await readPlanToFinish(directory, planFile, newest)).roster.body.version).to.equal(1);
  });

  it('is refused where this machine never accepted the roster that it names', async () => {
    const newest = await succeed({});
    const other = await temporaryDirectory();
    await acceptRoster(other, await signed({ version: 2 }));
    await expectRefusal('plan.older-roster', () => readPlanToServe(other, planFile, newest));
  });
});
