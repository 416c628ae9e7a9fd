import { expect } from 'chai';
import { isAbsent, type Spread } from '../../bench/measure.js';
import { renderReport } from '../../bench/report.js';
import { type BenchmarkResults, runBenchmarks } from '../../bench/run.js';
import { native } from '../../lib/native.js';

function expectPositive(...figures: readonly Spread[]): void {
  for (const { min, median, max } of figures) {
    expect(min).to.be.above(0);
    expect(median).to.be.within(min, max);
  }
}

// Sizes at which the figures mean nothing: what is tested is that every part runs and says what it measured.
describe('the benchmark', () => {
  let results: BenchmarkResults;

  before(async function () {
    this.timeout(120_000);
    results = await runBenchmarks({ rounds: 3, valueCount: 20_000, largeValueCount: 40_000 });
  });

  it('measures encryption on every instruction set of this machine, for both plans and both sizes', () => {
    const figures = results.encrypt ?? [];
    expect(new Set(figures.map(({ instructionSet }) => instructionSet))).to.deep.equal(
      new Set(native().supportedInstructionSets),
    );
    expect(figures).to.have.length(4 * native().supportedInstructionSets.length);
    expect(new Set(figures.map(({ workload }) => `${workload.fold}/${workload.wireBits}`))).to.deep.equal(
      new Set(['1/17', '2/21']),
    );
    for (const entry of figures) {
      expectPositive(
        entry.millionCoefficientsPerSecond,
        entry.millionValuesPerSecond,
        entry.digestMillionValuesPerSecond,
        entry.wholeMillionCoefficientsPerSecond,
      );
      const values = entry.millionValuesPerSecond.median / entry.millionCoefficientsPerSecond.median;
      expect(values).to.be.closeTo(entry.workload.fold, 0.01);
    }
  });

  it('opens sums of 2, 16 and 256 updates under one plan', () => {
    const sameplan = (results.open ?? []).filter(({ workload }) => workload.maxClients === 256);
    expect(sameplan.map(({ contributors }) => contributors)).to.deep.equal([2, 16, 256]);
    expectPositive(...sameplan.map(({ nsPerCoefficient }) => nsPerCoefficient));
  });

  it('sums from buffers that no cache holds, and from ones that it does', () => {
    const [memory, cache] = results.sum ?? [];
    const lastLevel = results.machine.lastLevelCacheBytes ?? 0;
    expect(memory?.where).to.equal('memory');
    expect(memory?.inputBytes).to.be.above(lastLevel);
    expect(cache?.where).to.equal('cache');
    expectPositive(memory?.shareOfCopy as Spread, cache?.shareOfCopy as Spread);
  });

  it('compares with CKKS at its own size on the wire', () => {
    const { seal } = results;
    if (seal === undefined || isAbsent(seal)) throw new Error('node-seal is a development dependency');
    // Two polynomials, 8192 coefficients, two words of 8 bytes, for 4096 values; the last ciphertext is not full.
    expect(seal.bytesPerValue.seal).to.be.within(64, 68);
    expect(seal.bytesPerValue.tensorguard).to.be.within(2.125, 2.4);
    expectPositive(seal.encrypt.timesSeal, seal.add.timesSeal, seal.decrypt.timesSeal);
  });

  it('prints every target beside a verdict, and what it could not measure', () => {
    const report = renderReport(results);
    expect(report).to.match(/encrypt, AVX2 .*(met|not measured)/);
    expect(report).to.match(/bytes a value, over CKKS .*(met|not measured)/);
    for (const { instructionSet, absent } of results.notMeasured) {
      expect(report).to.include(`${instructionSet}: not measured, ${absent}`);
    }
  });
});
