import { expect } from 'chai';
import fc from 'fast-check';
import type { OpenedAnswer } from '../../lib/custody/answers.js';
import { centre, recoverSecretSum } from '../../lib/custody/secret-sum.js';
import { VerificationError } from '../../lib/errors.js';
import { parameterSet } from '../../lib/lwe/parameters.js';
import { LWE_128, mod } from '../support/oracle/ring.js';
import { seededValues, seededWords } from '../support/oracle/seeded.js';
import { interpolate } from '../support/oracle/shamir.js';
import { expectRefusal } from '../support/refusals.js';
import { bytes32 } from './support/bytes.js';

const { n, q } = LWE_128;
const CLIENTS = 3;

/** The answers of custodians 1..custodians for a sum of secrets. */
function answersFor(secret: Int32Array, threshold: number, custodians: number, seed: number): OpenedAnswer[] {
  const rows = [
    Uint32Array.from(secret, (value) => mod(value, q)),
    ...Array.from({ length: threshold - 1 }, (_, i) => seededWords(seed, `row ${i}`, n, q)),
  ];
  const points = rows.map((_, i) => i);
  return Array.from({ length: custodians }, (_, i) => ({
    custodian: `custodian-${i + 1}`,
    index: i + 1,
    residues: interpolate(q, points, rows, i + 1),
    ledgerHead: bytes32('head'),
  }));
}

function lying(answer: OpenedAnswer, seed: number): OpenedAnswer {
  return { ...answer, residues: seededWords(seed, `lie of ${answer.custodian}`, n, q) };
}

/** Accepts exactly one sum, as residuals do. */
function accepting(secret: Int32Array) {
  return async (candidate: Int32Array): Promise<string> => {
    if (candidate.every((value, i) => value === secret[i])) return 'opened';
    throw new VerificationError('open.residual-too-large', 'another sum');
  };
}

/** n, t and which answer, in any order; liars among them as far as t honest ones and one more are left. */
const anyOpening = fc.integer({ min: 1, max: 6 }).chain((custodians) =>
  fc.integer({ min: 1, max: custodians }).chain((threshold) =>
    fc
      .shuffledSubarray(
        Array.from({ length: custodians }, (_, i) => i),
        { minLength: threshold },
      )
      .chain((answering) =>
        fc.record({
          custodians: fc.constant(custodians),
          threshold: fc.constant(threshold),
          answering: fc.constant(answering),
          liars: fc.subarray(answering, { maxLength: answering.length - threshold }),
          seed: fc.integer({ min: 0, max: 1e6 }),
        }),
      ),
  ),
);

describe('the sum of secrets from the custodians’ answers', () => {
  it('is found, and who lied is named, while as many as the threshold are honest', async () => {
    await fc.assert(
      fc.asyncProperty(anyOpening, async ({ custodians, threshold, answering, liars, seed }) => {
        const secret = seededValues(seed, 'secret', n, 16 * CLIENTS);
        const honest = answersFor(secret, threshold, custodians, seed);
        const answers = answering.map((i) => {
          const answer = honest[i] as OpenedAnswer;
          return liars.includes(i) ? lying(answer, seed) : answer;
        });
        const plan = { parameterSet: 'lwe-128', threshold, custodians } as const;
        const { sum, opened } = await recoverSecretSum(plan, answers, CLIENTS, accepting(secret));
        expect(opened).to.equal('opened');
        expect(sum.coefficients).to.deep.equal(secret);
        const named = liars.map((i) => `custodian-${i + 1}`).sort();
        expect([...sum.disagreeing].sort()).to.deep.equal(named);
      }),
      { numRuns: 25 },
    );
  });

  it('is tried once where all answers agree, and the reason why it does not open is passed on', async () => {
    const secret = seededValues(1, 'secret', n, 10);
    const answers = answersFor(secret, 2, 4, 1);
    let tries = 0;
    await expectRefusal('open.residual-too-large', () =>
      recoverSecretSum(
        { parameterSet: 'lwe-128', threshold: 2, custodians: 4 },
        answers,
        CLIENTS,
        async () => {
          tries += 1;
          throw new VerificationError('open.residual-too-large', 'never');
        },
      ),
    );
    expect(tries).to.equal(1);
  });

  it('is not looked for among candidates beyond 16 a client', async () => {
    const secret = seededValues(2, 'secret', n, 16 * CLIENTS);
    const [one, two, three, four] = answersFor(secret, 3, 4, 2) as [
      OpenedAnswer,
      OpenedAnswer,
      OpenedAnswer,
      OpenedAnswer,
    ];
    const tried: Int32Array[] = [];
    await recoverSecretSum(
      { parameterSet: 'lwe-128', threshold: 3, custodians: 4 },
      [lying(one, 2), two, three, four],
      CLIENTS,
      async (candidate) => {
        tried.push(candidate);
        return 'opened';
      },
    );
    expect(tried).to.deep.equal([secret]);
  });

  it('does not exist where too many lie, and an error that is no refusal is passed on', async () => {
    const secret = seededValues(3, 'secret', n, 10);
    const [one, two, three] = answersFor(secret, 2, 3, 3) as [OpenedAnswer, OpenedAnswer, OpenedAnswer];
    const plan = { parameterSet: 'lwe-128', threshold: 2, custodians: 3 } as const;
    const error = await expectRefusal('open.no-consistent-answers', () =>
      recoverSecretSum(plan, [lying(one, 3), lying(two, 4), three], CLIENTS, accepting(secret)),
    );
    expect(error.message).to.include('custodian-1').and.to.include('custodian-3');
    let passed: unknown;
    await recoverSecretSum(plan, [one, two, lying(three, 3)], CLIENTS, async () => {
      throw new RangeError('out of memory');
    }).catch((failure: unknown) => {
      passed = failure;
    });
    expect(passed).to.be.instanceOf(RangeError);
  });

  it('is given up on where there are too many subsets to try', async () => {
    const answers = Array.from({ length: 18 }, (_, i) => ({
      custodian: `custodian-${i + 1}`,
      index: i + 1,
      residues: seededWords(i, 'lie', n, q),
      ledgerHead: bytes32('head'),
    }));
    await expectRefusal('open.too-many-subsets', () =>
      recoverSecretSum(
        { parameterSet: 'lwe-128', threshold: 6, custodians: 18 },
        answers,
        CLIENTS,
        accepting(new Int32Array(n)),
      ),
    );
  }).timeout(30_000);

  it('is centred: residues above half of q are negative', () => {
    const half = (q - 1) / 2;
    expect([...centre(parameterSet('lwe-128'), Uint32Array.of(0, 1, half, half + 1, q - 1))]).to.deep.equal([
      0,
      1,
      half,
      -half,
      -1,
    ]);
  });
});
