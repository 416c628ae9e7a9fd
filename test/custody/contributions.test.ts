import { expect } from 'chai';
import { checkAggregate, contributions } from '../../lib/custody/contributions.js';
import { WeightTally } from '../../lib/custody/weights.js';
import { readEnvelope } from '../../lib/package/envelope.js';
import { setDigest } from '../../lib/package/fingerprint.js';
import { type Container, openContainer } from '../../lib/package/reader.js';
import { type Changes, craftUpdate, signAgain, withBitFlippedIn } from '../round/support/forgery.js';
import { TestRound } from '../round/support/round.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { bytes32, withBitFlipped } from './support/bytes.js';
import { craftAggregate } from './support/crafted-aggregate.js';

describe('an aggregate as the custodians and the owner take it', () => {
  let round: TestRound;
  let path: string;
  let good: Container<'aggregate'>;

  before(async () => {
    round = await TestRound.start(await temporaryDirectory(), { clients: 4 });
    path = await round.aggregate(await round.sealAll([1, 2, 3, 4]));
    good = await openContainer(path, 'aggregate');
  });

  after(() => good.close());

  async function forged(changes: Changes<'aggregate'>): Promise<Container<'aggregate'>> {
    return openContainer(
      await signAgain('aggregate', path, round.members.aggregator.signing, changes),
      'aggregate',
    );
  }

  /** The entries of the aggregate in another choice, with the sections to match. */
  async function only(entries: readonly number[]): Promise<Changes<'aggregate'>> {
    const { accepted, envelopeLengths, shareLengths } = good.body;
    const pieces = async (name: string, lengths: readonly number[]): Promise<Uint8Array> => {
      const section = await good.readSection(name);
      const start = (i: number): number => lengths.slice(0, i).reduce((a, b) => a + b, 0);
      return Buffer.concat(entries.map((i) => section.subarray(start(i), start(i + 1))));
    };
    const pick = <T>(items: readonly T[]): T[] => entries.map((i) => items[i] as T);
    return {
      body: {
        accepted: pick(accepted),
        envelopeLengths: pick(envelopeLengths),
        shareLengths: pick(shareLengths),
      },
      sections: {
        envelopes: await pieces('envelopes', envelopeLengths),
        shares: await pieces('shares', shareLengths),
      },
    };
  }

  async function drain(aggregate: Container<'aggregate'>): Promise<string[]> {
    const clients: string[] = [];
    for await (const { envelope } of contributions(aggregate, round.plan)) clients.push(envelope.body.client);
    return clients;
  }

  it('names its set by the digest of the accepted fingerprints', async () => {
    const checked = await checkAggregate(good, round.plan);
    expect(checked.updates).to.deep.equal(good.body.accepted.map(({ update }) => update));
    expect(checked.set).to.deep.equal(setDigest(checked.updates));
    expect((await drain(good)).sort()).to.deep.equal(['client-1', 'client-2', 'client-3', 'client-4']);
  });

  const refusals: readonly [what: string, code: string, () => Changes<'aggregate'>][] = [
    ['of another round', 'aggregate.wrong-round', () => ({ body: { round: 2 } })],
    ['of another cohort', 'aggregate.wrong-round', () => ({ body: { cohort: 'b' } })],
    ['of another plan of the round', 'aggregate.wrong-plan', () => ({ body: { plan: bytes32('x') } })],
    ['of no known aggregator', 'roster.unknown-aggregator', () => ({ body: { aggregator: 'cloud' } })],
  ];
  for (const [what, code, changes] of refusals) {
    it(`is refused where it is ${what}`, async () => {
      await expectRefusal(code, async () => checkAggregate(await forged(changes()), round.plan));
    });
  }

  it('is refused where somebody but its aggregator signed it', async () => {
    const bytes = await signAgain('aggregate', path, round.client(1).signing);
    await expectRefusal('container.wrong-signer', async () =>
      checkAggregate(await openContainer(bytes, 'aggregate'), round.plan),
    );
  });

  it('is refused below the quorum, and above what the plan decodes', async () => {
    const two = await forged(await only([0, 1]));
    await expectRefusal('aggregate.below-quorum', () => checkAggregate(two, round.plan));
    const { lwe } = round.plan.body;
    const narrow = {
      ...round.plan,
      body: { ...round.plan.body, lwe: { ...lwe, maxClients: 3 } },
    };
    await expectRefusal('aggregate.too-many-clients', () => checkAggregate(good, narrow));
  });

  it('is refused where an entry names another update, or another client, than the header that it carries', async () => {
    const accepted = good.body.accepted.map((entry) => ({ ...entry }));
    const [first, second] = accepted as [(typeof accepted)[0], (typeof accepted)[0]];
    [first.client, second.client] = [second.client, first.client];
    await expectRefusal('aggregate.mislabelled', async () => drain(await forged({ body: { accepted } })));
    const renamed = good.body.accepted.map((entry, i) =>
      i === 3 ? { ...entry, update: new Uint8Array(32).fill(0xff) } : entry,
    );
    await expectRefusal('aggregate.mislabelled', async () =>
      drain(await forged({ body: { accepted: renamed } })),
    );
  });

  it('is refused where shares were changed or exchanged between clients', async () => {
    const shares = await good.readSection('shares');
    await expectRefusal('update.shares-changed', async () =>
      drain(await forged({ sections: { shares: withBitFlipped(shares, 5) } })),
    );
    const { shareLengths } = good.body;
    const [one = 0] = shareLengths;
    const exchanged = Buffer.concat([
      shares.subarray(one, 2 * one),
      shares.subarray(0, one),
      shares.subarray(2 * one),
    ]);
    await expectRefusal('update.shares-changed', async () =>
      drain(await forged({ sections: { shares: exchanged } })),
    );
  });

  it('is refused where a contributor’s signature was changed', async () => {
    const envelopes = await good.readSection('envelopes');
    const first = readEnvelope(envelopes.subarray(0, good.body.envelopeLengths[0] as number), 'update');
    const changed = withBitFlippedIn(envelopes, first.signatures[0]?.sig as Uint8Array);
    await expectRefusal('container.bad-signature', async () =>
      drain(await forged({ sections: { envelopes: changed } })),
    );
  });

  it('is refused where a contributor is of another plan, though an aggregator vouches for it', async () => {
    const other = await round.next({ seed: bytes32('another seed'), round: 1 });
    const stray = await openContainer(await craftUpdate(other.plan, round.client(4)), 'update');
    const chosen = await only([0, 1, 2].filter((i) => good.body.accepted[i]?.client !== 'client-4'));
    const changes = await joined(chosen, stray);
    await expectRefusal('update.wrong-plan', async () => drain(await forged(changes)));
  });

  it('is refused where lengths cut envelopes and shares elsewhere', async () => {
    const { envelopeLengths } = good.body;
    const moved = envelopeLengths.map((length, i) => length + (i === 0 ? 1 : i === 1 ? -1 : 0));
    await expectRefusal('container.trailing-bytes', async () =>
      drain(await forged({ body: { envelopeLengths: moved } })),
    );
  });

  describe('with the weights that its contributors declare', () => {
    const UNIT = 2 ** 16;

    /** Iterates over an aggregate of updates with these weights, of client 1, 2, ...; the weights that were summed. */
    async function drainWeighted(
      weights: readonly (readonly number[] | undefined)[],
      of = round,
    ): Promise<{ readonly sums: readonly number[]; readonly clients: number }> {
      const updates = await Promise.all(
        weights.map((own, i) =>
          craftUpdate(of.plan, of.client(i + 1), own === undefined ? {} : { body: { weights: [...own] } }),
        ),
      );
      const aggregate = await openContainer(await craftAggregate(of, updates), 'aggregate');
      await checkAggregate(aggregate, of.plan);
      const tally = new WeightTally(of.plan.body);
      let clients = 0;
      for await (const { envelope } of contributions(aggregate, of.plan, tally)) {
        expect(envelope.body.client).to.match(/^client-[1-4]$/);
        clients += 1;
      }
      return { sums: tally.sums(), clients };
    }

    async function withExperts(): Promise<TestRound> {
      const experts = [
        { name: 'vision', weight: 1 },
        { name: 'action', weight: 1 },
      ];
      const tensors = round.plan.body.tensors.map((tensor, i) => ({ ...tensor, expert: i % 2 }));
      return round.next({ experts, tensors, round: 1 });
    }

    it('sums them, those that are not declared as 1', async () => {
      expect(await drainWeighted([[UNIT / 2], undefined, [UNIT], undefined])).to.deep.equal({
        sums: [3.5 * UNIT],
        clients: 4,
      });
      const experts = await withExperts();
      expect(await drainWeighted([[0, 9000], [UNIT, 9000], undefined, [UNIT, UNIT]], experts)).to.deep.equal({
        sums: [3 * UNIT, 2 * UNIT + 18_000],
        clients: 4,
      });
    });

    it('is refused where one client has more than 2/quorum of a module', async () => {
      await drainWeighted([[40_000], [10_000], [10_000], [0]]);
      const error = await expectRefusal('weights.overweight-client', () =>
        drainWeighted([[40_001], [10_000], [10_000], [0]]),
      );
      expect(error.message).to.contain('client-1');
      const experts = await withExperts();
      await expectRefusal('weights.overweight-client', () =>
        drainWeighted([undefined, [UNIT, 9000], [UNIT, 9000], [UNIT, 9000]], experts),
      );
    });

    it('is refused where fewer than the quorum have trained a module, however many take part', async () => {
      await expectRefusal('weights.below-quorum', () => drainWeighted([[5000], [5000], [0], [0]]));
      const experts = await withExperts();
      await drainWeighted([undefined, undefined, undefined, [UNIT, 0]], experts);
      await expectRefusal('weights.below-quorum', () =>
        drainWeighted([undefined, undefined, [UNIT, 0], [UNIT, 0]], experts),
      );
    });

    it('is refused where an update declares other weights than its plan has', async () => {
      await expectRefusal('update.wrong-weights', () =>
        drainWeighted([[UNIT], [UNIT], [UNIT, UNIT], [UNIT]]),
      );
      const experts = await withExperts();
      await expectRefusal('update.wrong-weights', () =>
        drainWeighted([[UNIT], [UNIT], [UNIT], [UNIT]], experts),
      );
    });
  });

  /** A choice of entries and one more update, in the order that the format asks for. */
  async function joined(
    chosen: Changes<'aggregate'>,
    update: Container<'update'>,
  ): Promise<Changes<'aggregate'>> {
    const body = chosen.body as Required<Pick<NonNullable<typeof chosen.body>, 'accepted'>> & {
      envelopeLengths: number[];
      shareLengths: number[];
    };
    const shares = await update.readSection('shares');
    const entry = { client: update.body.client, update: Uint8Array.from(update.fingerprint) };
    const at = body.accepted.filter(({ update: other }) => Buffer.compare(other, entry.update) < 0).length;
    const insert = <T>(items: readonly T[], item: T): T[] => [
      ...items.slice(0, at),
      item,
      ...items.slice(at),
    ];
    const splice = (section: Uint8Array, lengths: readonly number[], piece: Uint8Array): Uint8Array => {
      const offset = lengths.slice(0, at).reduce((a, b) => a + b, 0);
      return Buffer.concat([section.subarray(0, offset), piece, section.subarray(offset)]);
    };
    const { envelopes, shares: others } = chosen.sections as Record<'envelopes' | 'shares', Uint8Array>;
    return {
      body: {
        accepted: insert(body.accepted, entry),
        envelopeLengths: insert(body.envelopeLengths, update.envelopeBytes.length),
        shareLengths: insert(body.shareLengths, shares.length),
      },
      sections: {
        envelopes: splice(envelopes, body.envelopeLengths, update.envelopeBytes),
        shares: splice(others, body.shareLengths, shares),
      },
    };
  }
});
