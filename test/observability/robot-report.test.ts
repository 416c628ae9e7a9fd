import { expect } from 'chai';
import { ROBOT_REPORT_SCHEMA_VERSION, robotReportSchema } from '../../lib/observability/robot-report.js';

const LEAST = {
  schema: ROBOT_REPORT_SCHEMA_VERSION,
  client: 'robot-1',
  policy: 'pick',
  sequence: 0,
  atMs: 1_790_000_000_000,
};

describe('a robot report', () => {
  it('needs nothing but who reports, of what, and its number', () => {
    expect(robotReportSchema.parse(LEAST)).to.deep.equal(LEAST);
  });

  it('refuses what nobody can have measured, and fields that it does not know', () => {
    for (const broken of [
      { ...LEAST, sequence: -1 },
      { ...LEAST, client: '../robot' },
      { ...LEAST, latenciesMs: { train: -1 } },
      { ...LEAST, latenciesMs: { train: Number.POSITIVE_INFINITY } },
      { ...LEAST, latenciesMs: { decrypt: 1 } },
      { ...LEAST, residualNorm: -1 },
      { ...LEAST, privacy: { epsilonSpent: 1, epsilonBudget: 2, delta: 2, rounds: 1 } },
      { ...LEAST, runs: { counter: 0, adapterFingerprint: 'ab'.repeat(32) } },
      { ...LEAST, episodes: { episodes: 1, successes: 2, violations: 0, collisions: 0 } },
      { ...LEAST, schema: '0.9.0' },
      { ...LEAST, gradient: [1] },
    ]) {
      expect(robotReportSchema.safeParse(broken).success, JSON.stringify(broken)).to.equal(false);
    }
  });
});
