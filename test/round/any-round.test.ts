import { expect } from 'chai';
import fc from 'fast-check';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { expectedAverage } from './support/adapters.js';
import { expectAverage } from './support/directories.js';
import { TestRound } from './support/round.js';

const anyRound = fc
  .record({
    custodians: fc.integer({ min: 1, max: 4 }),
    clients: fc.integer({ min: 3, max: 5 }),
    bits: fc.integer({ min: 2, max: 8 }),
  })
  .chain(({ custodians, clients, bits }) =>
    fc.integer({ min: 1, max: custodians }).chain((threshold) =>
      fc.record({
        custodians: fc.constant(custodians),
        clients: fc.constant(clients),
        bits: fc.constant(bits),
        threshold: fc.constant(threshold),
        answering: fc.shuffledSubarray(
          Array.from({ length: custodians }, (_, i) => i + 1),
          { minLength: threshold },
        ),
        order: fc.shuffledSubarray(
          Array.from({ length: clients }, (_, i) => i + 1),
          { minLength: 3 },
        ),
      }),
    ),
  );

describe('any round', () => {
  it('opens to the exact average of whoever took part, whichever custodians answer, in any order', async function () {
    this.timeout(120_000);
    await fc.assert(
      fc.asyncProperty(anyRound, async ({ custodians, clients, bits, threshold, answering, order }) => {
        const round = await TestRound.start(await temporaryDirectory(), {
          clients,
          custodians,
          bits,
          rules: { threshold },
        });
        try {
          const aggregate = await round.aggregate(await round.sealAll(order));
          const report = await round.open(aggregate, await round.answers(aggregate, answering));
          expect(report).to.include({ contributors: order.length, answers: answering.length });
          expect(report.disagreeing).to.deep.equal([]);
          const adapters = await Promise.all(order.map((number) => round.adapter(number)));
          await expectAverage(report.out, await expectedAverage(round.plan.body, adapters));
        } finally {
          round.end();
        }
      }),
      { numRuns: 6 },
    );
  });
});
