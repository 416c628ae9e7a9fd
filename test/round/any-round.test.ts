import { expect } from 'chai';
import fc from 'fast-check';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { expectAverage } from './support/expected-average.js';
import { TestRound } from './support/round.js';

const anyRound = fc
  .record({
    custodians: fc.integer({ min: 1, max: 4 }),
    clients: fc.integer({ min: 3, max: 5 }),
    bits: fc.integer({ min: 2, max: 8 }),
    keepRatio: fc.constantFrom(1, 0.5, 0.1),
    rotation: fc.boolean(),
  })
  .chain(({ custodians, clients, bits, keepRatio, rotation }) =>
    fc.integer({ min: 1, max: custodians }).chain((threshold) =>
      fc.record({
        custodians: fc.constant(custodians),
        clients: fc.constant(clients),
        bits: fc.constant(bits),
        keepRatio: fc.constant(keepRatio),
        rotation: fc.constant(rotation),
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
  it('opens to the average of whoever took part, whichever custodians answer, in any order', async function () {
    this.timeout(120_000);
    await fc.assert(
      fc.asyncProperty(
        anyRound,
        async ({ custodians, clients, bits, keepRatio, rotation, threshold, answering, order }) => {
          const round = await TestRound.start(await temporaryDirectory(), {
            clients,
            custodians,
            policy: { training: { bits, keepRatio, rotation } },
            rules: { threshold },
          });
          try {
            const aggregate = await round.aggregate(await round.sealAll(order));
            const report = await round.open(aggregate, await round.answers(aggregate, answering));
            expect(report).to.include({ contributors: order.length, answers: answering.length });
            expect(report.disagreeing).to.deep.equal([]);
            await expectAverage(report.out, await round.expected({ numbers: order }));
          } finally {
            round.end();
          }
        },
      ),
      { numRuns: 6 },
    );
  });
});
