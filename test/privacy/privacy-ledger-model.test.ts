import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { releaseRdp } from '../../lib/privacy/mechanisms.js';
import { createPrivacyLedger, openPrivacyLedger } from '../../lib/privacy/privacy-ledger.js';
import { RDP_ORDERS } from '../../lib/privacy/rdp.js';
import type { Release } from '../../lib/privacy/release.js';
import { bytes32 } from '../custody/support/bytes.js';
import { outcomeOf } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { release } from './support/releases.js';

const releases: readonly Release[] = [
  release(),
  release({ clientVariance: 20_000 }),
  release({ mechanism: 'discrete-gaussian', clientVariance: 3000 }),
];

const step = fc.oneof(
  { weight: 1, arbitrary: fc.constant('restart' as const) },
  {
    weight: 8,
    arbitrary: fc.record({
      plan: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g'),
      release: fc.constantFrom(0, 0, 0, 1, 2),
      epsilon: fc.constantFrom(0, 0.5, 1, 1.5, 2, 4),
      delta: fc.constantFrom(1e-5, 1e-6),
      hardStop: fc.constantFrom(true, true, false),
      preview: fc.boolean(),
    }),
  },
);

/** Epsilon of a list of releases, from the definitions: the minimum over the orders of a sum. */
function epsilonOfAll(indices: readonly number[], delta: number): number {
  if (indices.length === 0) return 0;
  const curves = indices.map((index) => releaseRdp(releases[index] as Release).values);
  const all = RDP_ORDERS.map((order, i) => {
    const rho = curves.reduce((sum, values) => sum + (values[i] ?? 0), 0);
    return rho + Math.log(1 - 1 / order) - Math.log(delta * order) / (order - 1);
  });
  return Math.max(0, Math.min(...all));
}

describe('the privacy ledger against a model', () => {
  it('records, replays and refuses the same in every sequence of calls and restarts', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
        const path = join(await temporaryDirectory(), 'privacy.sqlite');
        const model = new Map<string, number>();
        let ledger = await createPrivacyLedger(path);
        for (const next of steps) {
          if (next === 'restart') {
            ledger.close();
            ledger = await openPrivacyLedger(path);
            continue;
          }
          const { plan, epsilon, delta, hardStop } = next;
          const outcome = await outcomeOf(async () =>
            (next.preview ? ledger.preview : ledger.spend).call(ledger, {
              ...{ plan: bytes32(plan), fleet: 'fleet', policy: 'policy', round: 1, client: 'client' },
              ...{ release: releases[next.release] as Release, samplerDelta: 0 },
              budget: { epsilon, delta, hardStop },
            }),
          );
          const recorded = model.get(plan);
          const after = epsilonOfAll(
            [...model.values(), ...(recorded === undefined ? [next.release] : [])],
            delta,
          );
          if (recorded !== undefined && recorded !== next.release) {
            expect(outcome).to.deep.equal({ code: 'privacy.plan-has-another-release' });
          } else if (recorded === undefined && (epsilon === 0 || (hardStop && after > epsilon))) {
            expect(outcome).to.deep.equal({ code: 'privacy.budget-exhausted' });
          } else {
            if ('code' in outcome) throw new Error(`refused: ${outcome.code}`);
            expect(outcome.replayed).to.equal(recorded !== undefined);
            expect(outcome.epsilonSpent).to.be.closeTo(after, 1e-9);
            expect(outcome.overBudget).to.equal(after > epsilon);
            if (!next.preview) model.set(plan, next.release);
          }
          const { epsilonSpent, releases: count } = ledger.status({ budget: { epsilon, delta, hardStop } });
          expect(epsilonSpent).to.be.closeTo(epsilonOfAll([...model.values()], delta), 1e-9);
          expect(count).to.equal(model.size);
        }
        ledger.close();
      }),
      { numRuns: 40 },
    );
  });
});
