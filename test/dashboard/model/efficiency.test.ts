import { expect } from 'chai';
import { roundCosts, waterfallOf } from '../../../lib/dashboard/model/efficiency.js';
import type { RecordOf } from '../../../lib/dashboard/model/reported.js';

const PLAN = 'ab'.repeat(32);
const round = { fleet: 'acme', policy: 'pick', cohort: 'all', round: 3, plan: PLAN };
const spread = (median: number) => ({ count: 3, minimum: median / 2, median, maximum: 2 * median });

function latency(changes: Partial<RecordOf<'latency'>>): RecordOf<'latency'> {
  return { kind: 'latency', schema: '1.0.0', id: 'a', atMs: 1, policy: 'pick', stagesMs: {}, ...changes };
}

describe('what rounds cost, on the page', () => {
  it('is by the parameters of all updates', () => {
    const [cost] = roundCosts([
      {
        ...{ kind: 'compression', schema: '1.0.0', id: 'a', atMs: 1, ...round, updates: 4, parameters: 1000 },
        ...{ originalBytes: 16_000, compressedBytes: 8000, wireBytes: 10_000, ratio: 2, effectiveRatio: 1.6 },
      },
    ]);
    expect(cost).to.include({ bytesPerParameter: 2.5, originalBytesPerParameter: 4, overheadPart: 0.2 });
  });

  it('puts one stage after the other, of the round’s own records and the newest reports', () => {
    const other = { ...round, plan: 'cd'.repeat(32) };
    const { bars, totalMs, missing } = waterfallOf(
      [
        latency({
          id: 'sum',
          round,
          stagesMs: { compress: spread(30), encrypt: spread(10), aggregate: spread(5) },
        }),
        latency({ id: 'opening', atMs: 9, round, stagesMs: { decrypt: spread(50) } }),
        latency({
          id: 'other',
          atMs: 9,
          round: other,
          stagesMs: { train: spread(999), encrypt: spread(999) },
        }),
        latency({ id: 'old', atMs: 2, stagesMs: { upload: spread(999) } }),
        latency({ id: 'reports', atMs: 3, stagesMs: { upload: spread(20) } }),
        latency({ id: 'elsewhere', atMs: 4, policy: 'place', stagesMs: { apply: spread(999) } }),
      ],
      { plan: PLAN, policy: 'pick' },
    );
    expect(bars.map(({ stage, startMs, spread: { median } }) => [stage, startMs, median])).to.deep.equal([
      ['compress', 0, 30],
      ['encrypt', 30, 10],
      ['upload', 40, 20],
      ['aggregate', 60, 5],
      ['decrypt', 65, 50],
    ]);
    expect(totalMs).to.equal(115);
    expect(missing).to.deep.equal(['train', 'apply']);
  });
});
