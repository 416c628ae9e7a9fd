import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { hex } from '../../lib/custody/fields.js';
import { createLedger, type Ledger, openLedger } from '../../lib/custody/ledger.js';
import { outcomeOf } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { bytes32 } from './support/bytes.js';

/** One call of `answerOnce`, or a crash and a restart. */
type Step =
  | { readonly kind: 'restart' }
  | {
      readonly kind: 'answer';
      readonly cohort: string;
      readonly round: number;
      readonly plan: string;
      readonly updates: readonly string[];
      readonly crashes: boolean;
    };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 1, arbitrary: fc.constant<Step>({ kind: 'restart' }) },
  {
    weight: 6,
    arbitrary: fc.record<Step & { kind: 'answer' }>({
      kind: fc.constant('answer'),
      cohort: fc.constantFrom('a', 'b'),
      round: fc.integer({ min: 1, max: 2 }),
      plan: fc.constantFrom('plan 1', 'plan 1', 'plan 2'),
      updates: fc.uniqueArray(fc.constantFrom('u1', 'u2', 'u3', 'u4', 'u5'), { minLength: 1, maxLength: 2 }),
      crashes: fc.boolean(),
    }),
  },
);

/** What the ledger must do, as simply as it can be said. */
class Model {
  private readonly rounds = new Map<string, { plan: string; set: string; answer?: string }>();
  private readonly used = new Set<string>();

  /** The outcome: a code, 'compute' if an answer must be computed, or the stored answer. */
  claim(round: string, plan: string, updates: readonly string[]): string {
    const set = [...updates].sort().join();
    const claimed = this.rounds.get(round);
    if (claimed === undefined) {
      if (updates.some((update) => this.used.has(update))) return 'ledger.update-already-used';
      this.rounds.set(round, { plan, set });
      for (const update of updates) this.used.add(update);
      return 'compute';
    }
    if (claimed.plan !== plan) return 'ledger.round-has-another-plan';
    if (claimed.set !== set) return 'ledger.round-already-answered';
    return claimed.answer ?? 'compute';
  }

  store(round: string, answer: string): void {
    const claimed = this.rounds.get(round);
    if (claimed !== undefined) claimed.answer = answer;
  }
}

class Crash extends Error {}

describe('the custodian ledger against a model', () => {
  it('does the same in every sequence of calls, crashes and restarts', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 20 }), async (steps) => {
        const path = join(await temporaryDirectory(), 'ledger.sqlite');
        const model = new Model();
        const heads: Uint8Array[] = [];
        let ledger: Ledger = await createLedger(path);
        for (const [index, next] of steps.entries()) {
          if (next.kind === 'restart') {
            ledger.close();
            ledger = await openLedger(path);
            expect(heads.every((head) => ledger.hasHead(head))).to.equal(true);
            continue;
          }
          const { cohort, round, plan, updates, crashes } = next;
          const key = `${cohort} ${round}`;
          const expected = model.claim(key, plan, updates);
          const fresh = bytes32(`answer ${index}`);
          let computed = false;
          const outcome = await outcomeOf(() =>
            ledger.answerOnce(
              {
                ...{ fleet: 'fleet', policy: 'policy', cohort, round },
                plan: bytes32(plan),
                set: bytes32([...updates].sort().join()),
                updates: updates.map(bytes32),
              },
              async () => {
                computed = true;
                if (crashes) throw new Crash();
                return fresh;
              },
            ),
          ).catch((error: unknown) => {
            if (!(error instanceof Crash)) throw error;
            return { code: 'crash' };
          });
          heads.push(ledger.head());
          expect(computed).to.equal(expected === 'compute');
          if ('code' in outcome) {
            expect(outcome.code).to.equal(computed ? 'crash' : expected);
          } else {
            expect(hex(outcome.answer)).to.equal(computed ? hex(fresh) : expected);
            expect(outcome.replayed).to.equal(!computed);
            if (computed) model.store(key, hex(fresh));
          }
        }
        ledger.close();
        (await openLedger(path)).close();
      }),
      { numRuns: 40 },
    );
  });
});
