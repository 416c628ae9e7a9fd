/** A site's gateway sums its robots' updates; custodians and the owner see every contributor all the same. */
import { expect } from 'chai';
import { hex } from '../../lib/package/messages/common.js';
import { openContainer } from '../../lib/package/reader.js';
import { type GatewaySumOptions, sumAtGateway } from '../../lib/round/gateway-sum.js';
import { isBurntReason } from '../../lib/round/machine/bisect.js';
import { expectRefusal, outcomeOf } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { expectAverage } from './support/expected-average.js';
import { signAgain } from './support/forgery.js';
import { createMembers } from './support/members.js';
import { TestRound } from './support/round.js';

describe("a gateway's partial sum", function () {
  this.timeout(60_000);

  let round: TestRound;
  let updates: string[];

  async function start(): Promise<TestRound> {
    const { gateway } = await createMembers({ clients: 6, custodians: 3 });
    return TestRound.start(await temporaryDirectory(), {
      clients: 6,
      rules: { gateways: [{ id: gateway.id, keys: gateway.signing.publicKeys }] },
    });
  }

  before(async () => {
    round = await start();
    updates = await round.sealAll([1, 2, 3, 4, 5]);
  });
  after(() => round.end());

  function options(paths: readonly string[], of = round): GatewaySumOptions {
    const { plan, policy } = of;
    const { id: gatewayId, signing } = of.members.gateway;
    return { plan, policy, gatewayId, signing, updates: paths, out: of.path('.tgg') };
  }

  async function partialSum(paths: readonly string[], of = round): Promise<string> {
    const summing = { ...options(paths, of), strict: true };
    await sumAtGateway(summing);
    return summing.out;
  }

  it('comes to the same aggregate, but for where each update came from', async () => {
    const direct = await openContainer(await round.aggregate(updates.slice(0, 4)), 'aggregate');
    const partial = await partialSum(updates.slice(0, 3));
    const through = await openContainer(await round.aggregate([partial, updates[3] as string]), 'aggregate');
    expect(through.header.sections).to.deep.equal(direct.header.sections);
    const file = await openContainer(partial, 'partial-sum');
    const name = hex(file.fingerprint);
    const came = through.body.accepted.map(({ client, partialSum: sum }) => [client, sum && hex(sum)]);
    expect(Object.fromEntries(came)).to.deep.equal({
      ...{ 'client-1': name, 'client-2': name, 'client-3': name },
      'client-4': undefined,
    });
    await Promise.all([direct.close(), through.close(), file.close()]);
  });

  it('opens to the average of all contributors, recomputed with the gateway vouching for its own', async () => {
    const partial = await partialSum(updates.slice(0, 2));
    const aggregate = await round.aggregate([updates[2] as string, partial]);
    const answers = await round.answers(aggregate, [1, 2]);
    const verify = [partial, updates[2] as string];
    const { out, contributors, verified, gateways } = await round.open(aggregate, answers, { verify });
    expect({ contributors, verified, gateways }).to.deep.equal({
      contributors: 3,
      verified: true,
      gateways: ['gateway'],
    });
    await expectAverage(out, await round.expected());
  });

  it('has one contributor or many, and no quorum of its own: that is the round’s', async () => {
    const one = await partialSum(updates.slice(0, 1));
    await expectRefusal('aggregate.below-quorum', () => round.aggregate([one, updates[1] as string]));
    await round.aggregate([one, ...updates.slice(1, 3)]);
  });

  it('leaves out what does not hold, with its reason, and is not made of nothing', async () => {
    const [first, second] = updates as [string, string];
    const { contributors, refused } = await sumAtGateway(options([first, first, second]));
    expect(contributors.map(({ client }) => client).sort()).to.deep.equal(['client-1', 'client-2']);
    expect(refused.map(({ code }) => code)).to.deep.equal(['update.duplicate-client']);
    await expectRefusal('partial-sum.empty', () => sumAtGateway(options([])));
  });

  it('is taken whole or left out whole', async () => {
    const partial = await partialSum(updates.slice(0, 2));
    const { accepted, refused } = await round.aggregateLeniently([...updates.slice(1, 4), partial]);
    expect(accepted).to.equal(3);
    expect(refused.map(({ code }) => code)).to.deep.equal(['update.duplicate-client']);
  });

  it('holds no partial sums, and cannot be asked to sum them', async () => {
    const partial = await partialSum(updates.slice(0, 2));
    const { refused } = await sumAtGateway(options([partial, updates[2] as string]));
    expect(refused.map(({ code }) => code)).to.deep.equal(['container.wrong-kind']);
  });

  describe('is refused by the aggregator', () => {
    async function codeOf(file: Uint8Array): Promise<string | undefined> {
      const path = await round.file('.tgg', file);
      const { refused } = await round.aggregateLeniently([path, ...updates.slice(2, 5)]);
      return refused[0]?.code;
    }

    it('from anybody but a gateway of the roster, clients and the aggregator among them', async () => {
      const partial = await partialSum(updates.slice(0, 2));
      const { aggregator } = round.members;
      for (const signer of [round.client(1).signing, aggregator.signing]) {
        expect(await codeOf(await signAgain('partial-sum', partial, signer))).to.equal(
          'container.wrong-signer',
        );
      }
      const asOther = await signAgain('partial-sum', partial, aggregator.signing, {
        body: { gateway: aggregator.id },
      });
      expect(await codeOf(asOther)).to.equal('roster.unknown-gateway');
    });

    it('for another round or plan, with a ciphertext of another size, and with headers that it does not list', async () => {
      const partial = await partialSum(updates.slice(0, 2));
      const { signing } = round.members.gateway;
      const forged = async (changes: Parameters<typeof signAgain<'partial-sum'>>[3]) =>
        codeOf(await signAgain('partial-sum', partial, signing, changes));
      expect(await forged({ body: { round: 9 } })).to.equal('partial-sum.wrong-round');
      expect(await forged({ body: { plan: new Uint8Array(32) } })).to.equal('partial-sum.wrong-round');
      expect(await forged({ sections: { ciphertext: new Uint8Array(64) } })).to.equal(
        'partial-sum.wrong-size',
      );
      const file = await openContainer(partial, 'partial-sum');
      const { body } = file;
      await file.close();
      const renamed = body.accepted.map((one, i) => (i === 0 ? { ...one, client: 'client-6' } : one));
      expect(await forged({ body: { accepted: renamed } })).to.equal('aggregate.mislabelled');
    });

    it('with sealed shares that a client did not sign', async () => {
      const partial = await partialSum(updates.slice(0, 2));
      const container = await openContainer(partial, 'partial-sum');
      const shares = await container.readSection('shares');
      shares[7] = (shares[7] as number) ^ 1;
      await container.close();
      const file = await signAgain('partial-sum', partial, round.members.gateway.signing, {
        sections: { shares },
      });
      expect(await codeOf(file)).to.equal('update.shares-changed');
    });
  });

  it('that is not the sum that it claims spoils the round: the owner sees it, and whose word the sum rests on', async () => {
    const own = await start();
    const [first, second, third] = (await own.sealAll()) as [string, string, string];
    const partial = await openContainer(await partialSum([first, second], own), 'partial-sum');
    const ciphertext = await partial.readSection('ciphertext');
    for (let i = 0; i < ciphertext.length; i += 1) ciphertext[i] = (ciphertext[i] as number) ^ 0x55;
    await partial.close();
    const { signing } = own.members.gateway;
    const path = await partialSum([first, second], own);
    const lie = await own.file(
      '.tgg',
      await signAgain('partial-sum', path, signing, { sections: { ciphertext } }),
    );
    const aggregate = await own.aggregate([lie, third]);
    const answers = await own.answers(aggregate, [1, 2]);
    const { code } = (await outcomeOf(() => own.open(aggregate, answers, { verify: [lie, third] }))) as {
      code: string;
    };
    expect(isBurntReason(code)).to.equal(true);
    await expectRefusal('open.sum-shifted', () => own.open(aggregate, answers, { verify: [path, third] }));
    own.end();
  });
});
