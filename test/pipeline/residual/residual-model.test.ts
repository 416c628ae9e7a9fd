import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { ResidualStore } from '../../../lib/pipeline/residual/residual-store.js';
import type { StagedChange } from '../../../lib/pipeline/residual/staged-change.js';
import { bytes32 } from '../../custody/support/bytes.js';
import { outcomeOf } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { committedValues, shapeOf } from './support/fixtures.js';
import { arm, disarm } from './support/write-point.js';

const COUNT = 3;
const POLICIES = ['pick', 'place'];
const SCHEMAS = ['schema 1', 'schema 2'];

interface Step {
  readonly kind: 'stage' | 'publish' | 'drop' | 'commit' | 'discard' | 'reset' | 'reopen';
  readonly policy: string;
  readonly schema: string;
  /** Which of the staged or known updates. */
  readonly index: number;
  readonly values: readonly number[];
  /** The write at which the disk dies, until the store is opened again; 0 for none. */
  readonly diesAt: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom<Step['kind'][]>(
    ...(['stage', 'stage', 'stage', 'publish', 'publish', 'publish'] as const),
    ...(['commit', 'commit', 'commit', 'discard', 'drop', 'reset', 'reopen'] as const),
  ),
  policy: fc.constantFrom(...POLICIES),
  schema: fc.constantFrom('schema 1', 'schema 1', 'schema 1', 'schema 1', 'schema 2'),
  index: fc.nat({ max: 7 }),
  values: fc.array(fc.float({ noNaN: true, min: -1000, max: 1000 }), { minLength: COUNT, maxLength: COUNT }),
  diesAt: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 16 })),
});

interface Change {
  readonly policy: string;
  readonly schema: string;
  readonly values: readonly number[];
}

interface Committed {
  readonly schema: string;
  readonly values: readonly number[];
}

function plus(committed: Committed | undefined, change: Change): Committed {
  const before = committed?.schema === change.schema ? committed.values : undefined;
  // Zero is no number here: 0 + -0 is not -0.
  const values = change.values.map((value, i) => (before ? Math.fround(value + (before[i] ?? 0)) : value));
  return { schema: change.schema, values };
}

describe('the residual store against a model in memory', () => {
  it('agrees after every sequence of stages, commits, discards, resets and crashes', async () => {
    let commits = 0;
    let crashes = 0;
    let interruptedCommits = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 40, size: 'max' }), async (steps) => {
        const root = join(await temporaryDirectory(), 'residuals');
        let store = await ResidualStore.open(root);
        let staged: { change: Change; handle: StagedChange }[] = [];
        const known: string[] = [];
        const pending = new Map<string, Change>();
        const committed = new Map<string, Committed>();

        for (const [number, { kind, policy, schema, index, values, diesAt }] of steps.entries()) {
          const chosen = staged[index % Math.max(staged.length, 1)];
          const name = known[index % Math.max(known.length, 1)] ?? 'never staged';
          const change = pending.get(name);
          const fresh = `update ${number}`;
          const planned: Change = { policy, schema, values };

          arm('dead', diesAt);
          const outcome = await outcomeOf<unknown>(async () => {
            if (kind === 'reopen') store = await ResidualStore.open(root);
            if (kind === 'stage') {
              const handle = await store.stageChange(shapeOf(COUNT, policy, schema), (sink) =>
                sink.append(Float32Array.from(values)),
              );
              return { handle };
            }
            if (kind === 'publish') await chosen?.handle.publish(bytes32(fresh));
            if (kind === 'drop') await chosen?.handle.discard();
            if (kind === 'commit') return store.commit(bytes32(name));
            if (kind === 'discard') return store.discard(bytes32(name));
            if (kind === 'reset') return store.reset(policy);
            return undefined;
          });
          const { reached } = disarm();
          const crashed = typeof outcome === 'object' && outcome !== null && 'code' in outcome;
          if (crashed) {
            expect(reached, `${kind} failed on a good disk`).to.equal(true);
            expect(outcome.code).to.equal('storage.failed');
            crashes += 1;
            // Nothing in memory survives.
            store = await ResidualStore.open(root);
          }

          // A crash leaves one of two states, the one before or the one after; what is there says which.
          const names = new Set((await store.pending()).map((update) => Buffer.from(update).toString('hex')));
          const isPending = (update: string) => names.has(Buffer.from(bytes32(update)).toString('hex'));
          if (kind === 'stage' && !crashed) {
            staged.push({ change: planned, handle: (outcome as { handle: StagedChange }).handle });
          }
          if (kind === 'publish' && chosen !== undefined && (!crashed || isPending(fresh))) {
            pending.set(fresh, chosen.change);
            known.push(fresh);
          }
          if (kind === 'publish' || kind === 'drop') staged = staged.filter((other) => other !== chosen);
          if (kind === 'discard' && change !== undefined && (!crashed || !isPending(name)))
            pending.delete(name);
          if (kind === 'commit' && change !== undefined) {
            const after = plus(committed.get(change.policy), change);
            if (crashed) interruptedCommits += 1;
            if (!crashed) expect(outcome).to.equal('committed');
            // Opening finishes a commit that was made, so a change that is still here was not added.
            if (!crashed || !isPending(name)) {
              committed.set(change.policy, after);
              pending.delete(name);
              commits += 1;
            }
          }
          if (kind === 'commit' && change === undefined && !crashed) {
            expect(outcome).to.be.oneOf(['absent', 'already-committed']);
          }
          if (
            kind === 'reset' &&
            (!crashed ||
              (await store.norm(policy, bytes32(committed.get(policy)?.schema ?? ''))) === undefined)
          ) {
            committed.delete(policy);
          }
          if (crashed) {
            for (const { handle } of staged) await handle.discard();
            staged = [];
          }

          expect([...names].sort()).to.deep.equal(
            [...pending.keys()].map((update) => Buffer.from(bytes32(update)).toString('hex')).sort(),
          );
          for (const each of POLICIES) {
            for (const other of SCHEMAS) {
              const expected = committed.get(each);
              expect(
                await committedValues(store, COUNT, each, other),
                `${kind} ${each} ${other}`,
              ).to.deep.equal(expected?.schema === other ? expected.values : undefined);
            }
          }
        }
        for (const { handle } of staged) await handle.discard();
      }),
      { numRuns: 60 },
    );
    // The property is worth nothing if no sequence gets that far.
    expect(commits).to.be.greaterThan(50);
    expect(crashes).to.be.greaterThan(50);
    expect(interruptedCommits).to.be.greaterThan(10);
  }).timeout(240_000);
});
