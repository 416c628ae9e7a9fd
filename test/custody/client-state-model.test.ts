import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { type ClientState, createClientState, openClientState } from '../../lib/custody/client-state.js';
import { hex } from '../../lib/custody/fields.js';
import { replaceFile } from '../../lib/files.js';
import { outcomeOf } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { bytes32 } from './support/bytes.js';

type Step =
  | { readonly kind: 'restart' }
  /** Seal, stopping after the claim, after writing the file, or not at all. */
  | {
      readonly kind: 'seal';
      readonly delta: string;
      readonly round: number;
      readonly residual: boolean;
      readonly stop: 'claim' | 'file' | 'no';
    }
  /** Close the round, or rather one that was sealed for, listing this client's update or not. */
  | { readonly kind: 'close'; readonly round: number; readonly sealed: boolean; readonly lists: boolean };

const roundNumber = fc.integer({ min: 1, max: 6 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 1, arbitrary: fc.constant<Step>({ kind: 'restart' }) },
  {
    weight: 5,
    arbitrary: fc.record<Step & { kind: 'seal' }>({
      kind: fc.constant('seal'),
      delta: fc.constantFrom('d1', 'd1', 'd2'),
      round: roundNumber,
      residual: fc.constantFrom(true, true, false),
      stop: fc.constantFrom('claim', 'file', 'no', 'no', 'no', 'no'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record<Step & { kind: 'close' }>({
      kind: fc.constant('close'),
      round: roundNumber,
      sealed: fc.constantFrom(true, true, true, false),
      lists: fc.constantFrom(true, false, false),
    }),
  },
);

/** A delta that is sealed, not opened, sealed again and opened: so that every run has that. */
const resealing: Step[] = [
  { kind: 'seal', delta: 'd1', round: 1, residual: true, stop: 'no' },
  { kind: 'close', round: 1, sealed: false, lists: false },
  { kind: 'restart' },
  { kind: 'seal', delta: 'd1', round: 2, residual: true, stop: 'no' },
  { kind: 'close', round: 2, sealed: false, lists: true },
  { kind: 'seal', delta: 'd1', round: 3, residual: false, stop: 'no' },
];

/** What has left the client, and what the owner has opened: the property is about these alone. */
class World {
  /** Updates that were released: round to update and delta. */
  readonly released = new Map<number, { delta: string; update: string }>();
  /** Rounds that the state accepted a close record of, and the list. */
  readonly closed = new Map<number, string>();
  /** Deltas in an average, and in how many. */
  readonly averaged = new Map<string, number>();
  /** Rounds whose claim was granted the residual, and whether it was: every claim that stands. */
  readonly residuals = new Map<number, boolean>();

  /** Open rounds that have the residual: their averages would differ by it. */
  holders(): number[] {
    return [...this.residuals]
      .filter(([round, has]) => has && !this.closed.has(round))
      .map(([round]) => round);
  }

  claim(round: number, asks: boolean, has: boolean): void {
    const before = this.residuals.get(round);
    expect(has, `residual of round ${round}`).to.equal(before ?? (asks && this.holders().length === 0));
    this.residuals.set(round, has);
    expect(this.holders().length, 'open rounds with one residual').to.be.at.most(1);
  }

  release(round: number, delta: string, update: string): void {
    const before = this.released.get(round);
    if (before !== undefined) expect(update, 'a second update for a round').to.equal(before.update);
    for (const [other, { delta: otherDelta }] of this.released) {
      if (other === round || otherDelta !== delta) continue;
      expect(this.closed.get(other), `delta in round ${round} while in open round ${other}`).to.equal('');
      expect(other, 'a delta goes to later rounds only').to.be.lessThan(round);
    }
    this.released.set(round, { delta, update });
  }
}

describe("the client's state against what left the client", () => {
  it('puts a delta in one average, and a residual in one open round, in every sequence of seals, crashes and close records', async () => {
    let averages = 0;
    let resealed = 0;
    let withheld = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 15, maxLength: 30, size: 'max' }), async (steps) => {
        const directory = join(await temporaryDirectory(), 'client');
        const world = new World();
        const tried = new Set<number>();
        let state: ClientState = await createClientState(directory);
        for (const [index, next] of steps.entries()) {
          if (next.kind === 'restart') {
            state.close();
            state = await openClientState(directory);
            continue;
          }
          if (next.kind === 'close') {
            const candidates = next.sealed ? [...tried] : [];
            const round = candidates[next.round % candidates.length] ?? next.round;
            const plan = bytes32(`plan ${round}`);
            const mine = world.released.get(round);
            const list = next.lists && mine !== undefined ? [Buffer.from(mine.update, 'hex')] : [];
            const outcome = await outcomeOf(() => state.recordClose({ plan, opened: list }));
            const text = list.map(hex).join();
            const before = world.closed.get(round);
            if (before !== undefined && before !== text) {
              expect(outcome).to.deep.equal({ code: 'client.close-conflict' });
              continue;
            }
            expect(outcome).to.have.property('outcome');
            if (before === undefined && mine !== undefined && list.length > 0) {
              world.averaged.set(mine.delta, (world.averaged.get(mine.delta) ?? 0) + 1);
              averages += 1;
            }
            world.closed.set(round, text);
            continue;
          }
          const { delta, round, residual, stop } = next;
          const plan = bytes32(`plan ${round}`);
          tried.add(round);
          const deltaDigest = bytes32(delta);
          const request = { fleet: 'f', policy: 'p', cohort: 'c', round, plan, deltaDigest, residual };
          const claim = await outcomeOf(async () => state.claim(request));
          if (claim !== 'new') {
            if ('stored' in claim) world.release(round, delta, hex(claim.update));
            continue;
          }
          const holds = state.holdsResidual(plan);
          world.claim(round, residual, holds);
          if (!holds && residual) withheld += 1;
          expect(world.released.has(round), 'a new update where one was released').to.equal(false);
          if (stop === 'claim') continue;
          const update = bytes32(`update ${index}`);
          await replaceFile(state.sealedPath(update), 'content');
          if (stop === 'file') continue;
          const sealed = await state.recordSealed({ deltaDigest, plan, update });
          if ([...world.released.values()].some((other) => other.delta === delta)) resealed += 1;
          world.release(round, delta, hex(sealed.update));
        }
        state.close();
        for (const [delta, count] of world.averaged) expect(count, delta).to.equal(1);
      }),
      { numRuns: 40, examples: [[resealing]] },
    );
    // The property is worth nothing if no sequence gets that far.
    expect(averages).to.be.greaterThan(0);
    expect(resealed).to.be.greaterThan(0);
    expect(withheld).to.be.greaterThan(0);
  });
});
