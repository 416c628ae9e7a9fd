import { expect } from 'chai';
import fc from 'fast-check';
import {
  requireDiscounted,
  stalenessDiscount,
  updateWeights,
  WeightTally,
  weightGroup,
  weightGroups,
} from '../../lib/custody/weights.js';
import { TensorGuardError } from '../../lib/errors.js';
import { WEIGHT_ONE } from '../../lib/package/messages/update.js';
import { expectRefusal } from '../support/refusals.js';

const experts = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ name: `expert-${i}`, weight: 1 }));

/** A plan's part that matters here, and what its clients declare, group by group. */
interface Declared {
  readonly plan: { readonly quorum: number; readonly experts?: { name: string; weight: number }[] };
  readonly clients: readonly { readonly id: string; readonly weights: readonly number[] }[];
}

// Mostly alike, often 0, sometimes tiny or full: where the rules begin and end to hold.
const weight = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 20_000, max: 40_000 }) },
  { weight: 2, arbitrary: fc.constantFrom(0, 0, 1, WEIGHT_ONE) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: WEIGHT_ONE }) },
);
const declared: fc.Arbitrary<Declared> = fc
  .record({ quorum: fc.integer({ min: 2, max: 6 }), groups: fc.integer({ min: 0, max: 3 }) })
  .chain(({ quorum, groups }) =>
    fc.record<Declared>({
      plan: fc.constant({ quorum, ...(groups > 0 && { experts: experts(groups) }) }),
      clients: fc
        .array(fc.array(weight, { minLength: Math.max(1, groups), maxLength: Math.max(1, groups) }), {
          minLength: 1,
          maxLength: 12,
        })
        .map((lists) => lists.map((weights, i) => ({ id: `client-${i}`, weights }))),
    }),
  );

function tallied({ plan, clients }: Declared): WeightTally {
  const tally = new WeightTally(plan);
  for (const { id, weights } of clients) tally.add(id, weights);
  return tally;
}

function verdict(from: Declared): string {
  try {
    tallied(from).requireBalanced();
    return 'balanced';
  } catch (error) {
    if (error instanceof TensorGuardError) return error.code;
    throw error;
  }
}

/** The rules as they are written down, on exact fractions. */
function expectedVerdict({ plan, clients }: Declared): string {
  const groups = Array.from({ length: plan.experts?.length ?? 1 }, (_, group) =>
    clients.map(({ weights }) => BigInt(weights[group] as number)).filter((each) => each > 0n),
  );
  if (groups.some((own) => own.length > 0 && own.length < plan.quorum)) return 'weights.below-quorum';
  const tooHeavy = groups.some((own) => {
    const sum = own.reduce((a, b) => a + b, 0n);
    // weight / sum > 2 / quorum
    return own.some((each) => each * BigInt(plan.quorum) > 2n * sum);
  });
  return tooHeavy ? 'weights.overweight-client' : 'balanced';
}

/** Who is left out until the set is balanced. */
function leftOut(from: Declared): string[] {
  const out: string[] = [];
  for (let clients = from.clients; ; ) {
    const unbalanced = tallied({ ...from, clients }).unbalanced();
    if (unbalanced === undefined) return out.sort();
    out.push(...unbalanced.clients);
    clients = clients.filter(({ id }) => !unbalanced.clients.includes(id));
  }
}

describe('the weights of one set of updates', () => {
  it('are held to the quorum and to 2/quorum in every module, exactly', () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(declared, (from) => {
        const expected = expectedVerdict(from);
        seen.add(expected);
        expect(verdict(from)).to.equal(expected);
      }),
      { numRuns: 2000 },
    );
    // The property is worth nothing if one of the verdicts never occurs.
    expect(seen).to.include.members(['balanced', 'weights.below-quorum', 'weights.overweight-client']);
  });

  it('add up exactly, and to the same verdict in every order', () => {
    fc.assert(
      fc.property(
        declared.chain((from) =>
          fc.tuple(
            fc.constant(from),
            fc.shuffledSubarray([...from.clients], {
              minLength: from.clients.length,
              maxLength: from.clients.length,
            }),
          ),
        ),
        ([from, clients]) => {
          const shuffled = { ...from, clients };
          expect(tallied(shuffled).sums()).to.deep.equal(tallied(from).sums());
          expect(verdict(shuffled)).to.equal(verdict(from));
          expect(leftOut(shuffled)).to.deep.equal(leftOut(from));
          for (const [group, sum] of tallied(from).sums().entries()) {
            expect(sum).to.equal(from.clients.reduce((a, { weights }) => a + (weights[group] as number), 0));
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it('name who has too much, or trained what too few have, and nobody else once these are left out', () => {
    fc.assert(
      fc.property(declared, (from) => {
        const out = leftOut(from);
        const rest = from.clients.filter(({ id }) => !out.includes(id));
        expect(expectedVerdict({ ...from, clients: rest })).to.equal('balanced');
        const first = tallied(from).unbalanced();
        if (first?.code !== 'weights.overweight-client') return;
        const { weights } = from.clients.find(
          ({ id }) => id === first.clients[0],
        ) as Declared['clients'][number];
        const sums = tallied(from).sums();
        expect(weights.some((own, i) => own * from.plan.quorum > 2 * (sums[i] as number))).to.equal(true);
      }),
      { numRuns: 500 },
    );
  });

  const weigh = (quorum: number, ...weights: readonly number[]): string =>
    verdict({ plan: { quorum }, clients: weights.map((own, i) => ({ id: `client-${i}`, weights: [own] })) });

  it('allow exactly 2/quorum, and not one unit more', () => {
    expect(weigh(4, 30_000, 10_000, 10_000, 10_000)).to.equal('balanced');
    expect(weigh(4, 30_001, 10_000, 10_000, 10_000)).to.equal('weights.overweight-client');
    expect(weigh(3, 40_000, 10_000, 10_000)).to.equal('balanced');
    expect(weigh(3, 40_001, 10_000, 10_000)).to.equal('weights.overweight-client');
  });

  it('never refuse equal weights of a quorum, however small', () => {
    for (const quorum of [2, 3, 10]) {
      for (const own of [1, 655, WEIGHT_ONE]) {
        expect(weigh(quorum, ...new Array<number>(quorum).fill(own))).to.equal('balanced');
      }
    }
  });

  it('take a module that nobody has trained, and no module that too few have', () => {
    const plan = { quorum: 3, experts: experts(2) };
    const of = (...weights: readonly number[][]): Declared => ({
      plan,
      clients: weights.map((own, i) => ({ id: `client-${i}`, weights: own })),
    });
    expect(verdict(of([100, 0], [100, 0], [100, 0]))).to.equal('balanced');
    expect(tallied(of([100, 0], [100, 0], [100, 0])).sums()).to.deep.equal([300, 0]);
    expect(verdict(of([100, 0], [100, 90], [100, 90]))).to.equal('weights.below-quorum');
    expect(verdict(of([100, 90], [100, 90], [100, 90]))).to.equal('balanced');
  });

  it('say for which expert there are too few', async () => {
    const tally = new WeightTally({ quorum: 3, experts: experts(2) });
    for (const id of ['a', 'b', 'c']) tally.add(id, [WEIGHT_ONE, id === 'a' ? 1 : 0]);
    const error = await expectRefusal('weights.below-quorum', () => tally.requireBalanced());
    expect(error.message).to.contain('expert-1').and.not.to.contain('expert-0');
  });

  it('stay exact for as many clients as a roster can list', () => {
    const tally = new WeightTally({ quorum: 65_536 });
    for (let i = 0; i < 65_536; i += 1) tally.add(`client-${i}`, [WEIGHT_ONE]);
    expect(tally.sums()).to.deep.equal([2 ** 32]);
    tally.requireBalanced();
  });
});

describe('the weights of one update', () => {
  it('are 1 for every expert where it declares none', () => {
    expect(updateWeights({}, { client: 'c' })).to.deep.equal([WEIGHT_ONE]);
    expect(updateWeights({ experts: experts(3) }, { client: 'c' })).to.deep.equal([
      WEIGHT_ONE,
      WEIGHT_ONE,
      WEIGHT_ONE,
    ]);
  });

  it('are as many as its plan has experts, or one where it has none', async () => {
    expect(updateWeights({}, { client: 'c', weights: [7] })).to.deep.equal([7]);
    expect(updateWeights({ experts: experts(2) }, { client: 'c', weights: [0, 7] })).to.deep.equal([0, 7]);
    for (const [plan, weights] of [
      [{}, [7, 7]],
      [{ experts: experts(2) }, [7]],
      [{ experts: experts(2) }, [7, 7, 7]],
    ] as const) {
      const error = await expectRefusal('update.wrong-weights', () =>
        updateWeights(plan, { client: 'client-07', weights: [...weights] }),
      );
      expect(error.message).to.contain('client-07');
    }
  });

  it('belong to the tensors of their expert, or to all where there is none', () => {
    expect(weightGroups({})).to.equal(1);
    expect(weightGroup({})).to.equal(0);
    expect(weightGroups({ experts: experts(3) })).to.equal(3);
    expect(weightGroup({ expert: 2 })).to.equal(2);
  });
});

/** round(65536 * exp(-a / b)) in integers: 1 over the series of exp, to 60 decimals. */
function exactWeight(a: bigint, b: bigint): number {
  const one = 10n ** 60n;
  let sum = one;
  for (let term = one, k = 1n; term > 0n; k += 1n) {
    term = (term * a) / (b * k);
    sum += term;
  }
  const scaled = (BigInt(WEIGHT_ONE) * one * one) / sum;
  return Number((scaled + one / 2n) / one);
}

describe('the discount of a delta that missed rounds', () => {
  const rounds = fc.integer({ min: 0, max: 60 });
  // Sixteenths of a round, which doubles hold exactly.
  const sixteenths = fc.integer({ min: 1, max: 1600 });

  it('is exp(-rounds / tau), to the last unit of a weight', () => {
    fc.assert(
      fc.property(rounds, sixteenths, (late, tau) => {
        const discount = stalenessDiscount({ staleness: { tau: tau / 16 } }, late);
        expect(Math.round(WEIGHT_ONE * discount)).to.equal(exactWeight(BigInt(late) * 16n, BigInt(tau)));
      }),
    );
  });

  it('allows an update that weight in every module, or less, and no more', async () => {
    const plan = { round: 60, staleness: { tau: 8 }, experts: experts(2) };
    for (let late = 0; late <= 22; late += 1) {
      const most = exactWeight(BigInt(late), 8n);
      const update = (weights: number[]) => ({ client: 'client-1', staleness: late, weights });
      for (const weights of [
        [most, most],
        [most, 0],
        [most - 1, 4096],
      ]) {
        requireDiscounted(plan, update(weights));
      }
      if (late === 0) continue;
      for (const weights of [
        [most + 1, most],
        [0, WEIGHT_ONE],
      ]) {
        await expectRefusal('update.wrong-weights', () => requireDiscounted(plan, update(weights)));
      }
    }
  });

  it('is none without tau, however late', () => {
    const plan = { round: 9, staleness: { maxRounds: 8 } };
    requireDiscounted(plan, { client: 'client-1', staleness: 8 });
    expect(stalenessDiscount(plan, 8)).to.equal(1);
  });
});
