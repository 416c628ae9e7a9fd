/** What becomes of what a round lost, by what became of the round. */
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { sampleKey } from '../../lib/lwe/streams.js';
import type { ResidualStore } from '../../lib/pipeline/residual/residual-store.js';
import { planRound } from '../../lib/round/plan-round.js';
import { resetResidual, residualShape, settleResiduals } from '../../lib/round/residuals.js';
import { oraclePositions } from '../native/support/pipeline-oracle.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { adapterValues, SHAPES, writeAdapter, writeValues } from './support/adapters.js';
import { atEveryWrite } from './support/power-cut.js';
import { PLANNING, TestRound } from './support/round.js';

/** Coordinates as they are: what was not sent is then in the residual to the bit. */
const OPTIONS = { policy: { training: { bits: 4, keepRatio: 0.25, rotation: false } } };

function start(directory?: string): Promise<TestRound> {
  return directory === undefined
    ? temporaryDirectory().then((made) => TestRound.start(made, OPTIONS))
    : TestRound.start(directory, OPTIONS);
}

/** The committed residual, of all tensors in the plan's order; undefined for zero. */
function residualOf(round: TestRound, number = 1): Promise<Float32Array | undefined> {
  const { policy, schemaKey, valueCount } = residualShape(round.plan.body);
  return round.asClient(number, async ({ residuals }) => {
    const reader = await residuals?.openCommitted(policy, schemaKey, valueCount);
    if (reader === undefined) return undefined;
    const values = new Float32Array(valueCount);
    await reader.read(0, values);
    await reader.close();
    return values;
  });
}

/** All of an adapter, in the plan's order. */
async function valuesOf(round: TestRound, adapter: string): Promise<Float32Array> {
  const values = await adapterValues(adapter);
  return Float32Array.from(round.plan.body.tensors.flatMap(({ name }) => [...(values.get(name) ?? [])]));
}

/** The residual is what a round lost of `pending`: all of what it did not send, less than a level of the rest. */
function expectLoss(round: TestRound, residual: Float32Array | undefined, pending: Float32Array): void {
  const { body, fingerprint } = round.plan;
  const key = sampleKey(body.seed, body.parameterSet, fingerprint);
  let first = 0;
  for (const [index, { shape, kept, scale }] of body.tensors.entries()) {
    const count = shape.reduce((a, b) => a * b, 1);
    const sent = new Set(oraclePositions(key, index, count, kept));
    for (let i = 0; i < count; i += 1) {
      const [left, was] = [residual?.[first + i] as number, pending[first + i] as number];
      if (sent.has(i)) expect(Math.abs(left)).to.be.below(scale * 1.001);
      else expect(left).to.equal(was);
    }
    first += count;
  }
  expect(residual).to.have.length(first);
}

function sum(a: Float32Array, b: Float32Array): Float32Array {
  return a.map((value, i) => Math.fround(value + (b[i] as number)));
}

async function openAndClose(round: TestRound): Promise<void> {
  const { aggregate } = await round.finish(await round.sealAll());
  expect(await round.close([1, 2, 3], aggregate)).to.equal('opened');
}

describe('what a round lost of a delta', () => {
  it('is committed when its average was opened, and is in the next update', async () => {
    const round = await start();
    await round.seal(1);
    expect(await residualOf(round), 'before the round is closed').to.equal(undefined);
    await openAndClose(round);
    const residual = await residualOf(round);
    expectLoss(round, residual, await valuesOf(round, await round.adapter(1)));
    const next = await round.next();
    const adapter = await writeAdapter(round.path('-second'), 'second');
    const { report, update } = await next.seal(1, { adapter });
    expect(report?.residualUsed).to.equal(true);
    const pending = sum(await valuesOf(round, adapter), residual as Float32Array);
    await next.asClient(1, async ({ state, residuals }) => {
      await state.recordClose({ plan: next.plan.fingerprint, opened: [update] });
      if (residuals !== undefined) await settleResiduals(residuals, state);
    });
    const after = await residualOf(next);
    // A change is added to what was there in single precision: a rounding, not a bit.
    const { body } = next.plan;
    expect(after).to.have.length(pending.length);
    const largest = Math.max(...body.tensors.map(({ scale }) => scale));
    const key = sampleKey(body.seed, body.parameterSet, next.plan.fingerprint);
    let first = 0;
    for (const [index, { shape, kept }] of body.tensors.entries()) {
      const count = shape.reduce((a, b) => a * b, 1);
      const sent = new Set(oraclePositions(key, index, count, kept));
      for (let i = 0; i < count; i += 1) {
        const [left, was] = [after?.[first + i] as number, pending[first + i] as number];
        if (sent.has(i)) expect(Math.abs(left)).to.be.below(largest * 1.001);
        else expect(left).to.be.closeTo(was, 1e-7);
      }
      first += count;
    }
    round.end();
  });

  it('is discarded when it was not opened, and the delta is sealed again from the residual before', async () => {
    const round = await start();
    await openAndClose(round);
    const residual = await residualOf(round);
    const adapter = await writeAdapter(round.path('-second'), 'second');
    const failed = await round.next();
    await failed.seal(1, { adapter });
    expect(await failed.close([1])).to.equal('not-opened');
    expect(await residualOf(round)).to.deep.equal(residual);
    await failed.asClient(1, async ({ residuals }) => expect(await residuals?.pending()).to.deep.equal([]));
    const again = await failed.next();
    const { report, replayed } = await again.seal(1, { adapter });
    expect({ replayed, used: report?.residualUsed }).to.deep.equal({ replayed: false, used: true });
    expect(await residualOf(round)).to.deep.equal(residual);
    round.end();
  });

  it('is in one open round at most: two averages that differ by it would be it', async () => {
    const round = await start();
    await openAndClose(round);
    const [second, third] = [await round.next(), await round.next({ round: 3 })];
    const adapters = await Promise.all(
      ['b', 'c', 'd'].map((seed) => writeAdapter(round.path(`-${seed}`), seed)),
    );
    const [b, c, d] = adapters as [string, string, string];
    expect((await second.seal(1, { adapter: b })).report?.residualUsed).to.equal(true);
    expect((await third.seal(1, { adapter: c })).report?.residualUsed).to.equal(false);
    // Free again once the round that had it is closed.
    expect(await second.close([1])).to.equal('not-opened');
    const fourth = await round.next({ round: 4 });
    expect((await fourth.seal(1, { adapter: d })).report?.residualUsed).to.equal(true);
    round.end();
  });

  it('ends the same wherever the power fails while sealing, after a retry', async function () {
    this.timeout(120_000);
    const template = await start();
    await template.asClient(1, async () => undefined);
    const pending = await valuesOf(template, await template.adapter(1));
    const writes = await atEveryWrite(async (cut, at) => {
      const round = await template.copyTo(join(await temporaryDirectory(), 'round'));
      await cut(() => round.seal(1));
      const { update } = await round.seal(1);
      expect((await round.seal(1)).replayed, `cut at write ${at}`).to.equal(true);
      await round.asClient(1, async ({ state, residuals }) => {
        await state.recordClose({ plan: round.plan.fingerprint, opened: [update] });
        if (residuals !== undefined) await settleResiduals(residuals, state);
      });
      expectLoss(round, await residualOf(round), pending);
    });
    expect(writes).to.be.greaterThan(20);
  });

  it('ends the same wherever the power fails while a close record is taken', async function () {
    this.timeout(120_000);
    const template = await start();
    const pending = await valuesOf(template, await template.adapter(1));
    const { update } = await template.seal(1);
    const settle = (round: TestRound): Promise<void> =>
      round.asClient(1, async ({ state, residuals }) => {
        await state.recordClose({ plan: round.plan.fingerprint, opened: [update] });
        if (residuals !== undefined) await settleResiduals(residuals, state);
      });
    const writes = await atEveryWrite(async (cut) => {
      const round = await template.copyTo(join(await temporaryDirectory(), 'round'));
      await cut(() => settle(round));
      await settle(round);
      expectLoss(round, await residualOf(round), pending);
    });
    expect(writes).to.be.greaterThan(5);
  });
});

describe('a residual that does not fit', () => {
  it('is left behind, without an error, where the adapter’s schema changed in mid-run', async () => {
    const round = await start();
    await openAndClose(round);
    const shapes = SHAPES.map(({ name, shape }) => ({
      name,
      shape: shape.map((size) => (size === 96 ? 100 : size)),
    }));
    const like = await writeAdapter(round.path('-like'), 'wider', { shapes });
    const { roster, policy } = round;
    const { body } = await planRound({ ...PLANNING, roster, policy, like, round: 2 });
    const wider = await round.next(body);
    const adapter = await writeAdapter(round.path('-wider'), 'wider 1', { shapes });
    const { report } = await wider.seal(1, { adapter });
    expect(report).to.deep.include({ residualUsed: false, values: wider.plan.arithmetic.valueCount });
    round.end();
  });

  it('is refused where its file was cut short, costs nothing, and after a reset sealing goes on', async () => {
    const round = await start();
    await openAndClose(round);
    const path = join(round.directory, 'client-1', 'residual', 'pick.residual');
    const whole = await readFile(path);
    await truncate(path, whole.length - 100);
    const next = await round.next();
    const adapter = await writeAdapter(round.path('-second'), 'second');
    const error = await expectRefusal('residual.corrupt', () => next.seal(1, { adapter }));
    expect(error.message).to.include(path).and.include('reset');
    expect((await readFile(path)).length).to.equal(whole.length - 100);
    // A copy that is put back serves on.
    const copy = await next.copyTo(join(await temporaryDirectory(), 'copy'));
    await writeFile(join(copy.directory, 'client-1', 'residual', 'pick.residual'), whole);
    expect((await copy.seal(1, { adapter })).report?.residualUsed).to.equal(true);
    await round.asClient(1, async ({ residuals }) =>
      expect(await residuals?.reset('pick')).to.be.a('string'),
    );
    const { report, replayed } = await next.seal(1, { adapter });
    expect({ replayed, used: report?.residualUsed }).to.deep.equal({ replayed: false, used: false });
    round.end();
  });

  it('is given up with the changes of its open rounds, which would take it off again', async () => {
    const round = await start();
    await openAndClose(round);
    const next = await round.next();
    const adapter = await writeAdapter(round.path('-second'), 'second');
    const { report, update } = await next.seal(1, { adapter });
    expect(report?.residualUsed).to.equal(true);
    await round.asClient(1, async ({ residuals }) => {
      const store = residuals as ResidualStore;
      const other = { policy: 'other', schemaKey: new Uint8Array(32), valueCount: 1 };
      await store.writeChange(new Uint8Array(32).fill(1), other, (sink) => sink.append(Float32Array.of(1)));
      const corrupt = join(round.directory, 'client-1', 'residual', 'pending', `${'22'.repeat(32)}.change`);
      await writeFile(corrupt, 'no change', { mode: 0o600 });
      expect(await resetResidual(store, 'pick')).to.match(/pick\.residual\.set-aside-/);
      expect(await store.pending()).to.deep.equal([new Uint8Array(32).fill(1)]);
      expect(await resetResidual(store, 'pick')).to.equal(undefined);
    });
    // The round that had it is opened all the same, and leaves nothing.
    await next.asClient(1, async ({ state, residuals }) => {
      await state.recordClose({ plan: next.plan.fingerprint, opened: [update] });
      await settleResiduals(residuals as ResidualStore, state);
    });
    expect(await residualOf(next)).to.equal(undefined);
    round.end();
  });
});

describe('an adapter of a run that diverged', () => {
  const [{ name: first }] = SHAPES;

  /** Replaces one value of a written adapter, which the writer itself would refuse. */
  async function poisoned(round: TestRound, value: number): Promise<string> {
    const marker = 12_345.5;
    const directory = await writeValues(round.path('-diverged'), (name, out) => {
      if (name === first) out[17] = marker;
    });
    const path = join(directory, 'adapter_model.safetensors');
    const bytes = await readFile(path);
    const float = Buffer.alloc(4);
    float.writeFloatLE(marker);
    bytes.writeFloatLE(value, bytes.indexOf(float));
    await writeFile(path, bytes);
    return directory;
  }

  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    it(`is refused for a ${value}, by tensor and coordinate, and a repaired one is sealed under the same plan`, async () => {
      const round = await start();
      const adapter = await poisoned(round, value);
      const error = await expectRefusal('safetensors.non-finite', () => round.seal(1, { adapter }));
      expect(error.message).to.include(first).and.include('17').and.include(String(value));
      expect((await round.seal(1)).replayed).to.equal(false);
    });
  }

  it('is refused for a difference that no float holds, and a repaired one is sealed under the same plan', async () => {
    const round = await start();
    const far = (sign: number): Promise<string> =>
      writeValues(round.path('-far'), (name, out) => {
        if (name === first) out[5] = sign * 3e38;
      });
    const [adapter, base] = [await far(1), await far(-1)];
    const error = await expectRefusal('pipeline.non-finite', () => round.seal(1, { adapter, base }));
    expect(error.message).to.include(first).and.include('5');
    expect((await round.seal(1)).replayed).to.equal(false);
  });
});
