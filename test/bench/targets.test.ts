import { expect } from 'chai';
import { spread } from '../../bench/measure.js';
import type { BenchmarkResults } from '../../bench/run.js';
import { judge, judgeTargets } from '../../bench/targets.js';

const NOTHING_RUN: BenchmarkResults = {
  schemaVersion: 1,
  startedAt: '2026-01-01T00:00:00.000Z',
  machine: {
    cpuModel: 'test',
    cpuSignature: undefined,
    clockMegahertz: undefined,
    cores: 1,
    memoryBytes: 2 ** 30,
    lastLevelCacheBytes: undefined,
    platform: 'linux-x64',
    instructionSet: 'avx2',
    supportedInstructionSets: ['scalar', 'avx2'],
    nodeVersion: 'v20.0.0',
    opensslVersion: '3.0.0',
    compiler: undefined,
  },
  load: { before: 0, after: 1 },
  rounds: 3,
  clock: 'wall',
  notMeasured: [{ instructionSet: 'avx512', absent: 'this machine does not run avx512' }],
};

describe('benchmark targets', () => {
  it('are met at the very limit, and not just short of it', () => {
    const atLeast = { name: 'rate', unit: 'M/s', atLeast: 300 };
    expect(judge({ ...atLeast, measured: 300 }).verdict).to.equal('met');
    expect(judge({ ...atLeast, measured: 299.99 }).verdict).to.equal('not met');
    const atMost = { name: 'cost', unit: 'ns', atMost: 2.8 };
    expect(judge({ ...atMost, measured: 2.8 }).verdict).to.equal('met');
    expect(judge({ ...atMost, measured: 2.801 }).verdict).to.equal('not met');
  });

  it('are judged by the median, not by the best round', () => {
    const measured = spread([100, 150, 1000]);
    expect(judge({ name: 'rate', unit: 'M/s', atLeast: 300, measured })).to.include({
      measured: 150,
      verdict: 'not met',
    });
  });

  it('say what was not measured, and why, rather than guess', () => {
    const targets = judgeTargets(NOTHING_RUN);
    expect(targets.map(({ verdict }) => verdict)).to.deep.equal(Array(7).fill('not measured'));
    expect(targets.map(({ measured }) => typeof measured)).to.deep.equal(Array(7).fill('object'));
  });

  it('give the reason why an instruction set is missing', () => {
    const [, , avx512] = judgeTargets({ ...NOTHING_RUN, encrypt: [] });
    expect(avx512?.measured).to.deep.include({ absent: 'this machine does not run avx512' });
  });
});
