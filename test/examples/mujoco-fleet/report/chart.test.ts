import { expect } from 'chai';
import { rateOf } from '../../../../examples/mujoco-fleet/fleet/measure.js';
import { renderSuccessChart } from '../../../../examples/mujoco-fleet/report/chart.js';
import type { Curve } from '../../../../examples/mujoco-fleet/run-demo.js';

function curve(arm: Curve['arm'], successes: readonly number[]): Curve {
  return {
    arm,
    points: successes.map((count, round) => {
      const rate = rateOf(Array.from({ length: 10 }, (_, i) => ({ success: i < count })));
      return { round, training: rate, unseen: rate, klDivergence: 0, constraintViolations: 0, facts: {} };
    }),
  };
}

describe("the chart of the MuJoCo fleet's success", () => {
  const svg = renderSuccessChart(
    [curve('no federation', [1, 2, 3]), curve('plain FedAvg', [1, 5, 9])],
    'a <description>',
  );

  it('has a mark and a bar for every point of every curve in both panels, and a legend', () => {
    expect(svg.match(/<circle /g)).to.have.length(2 * 2 * 3);
    expect(svg.match(/stroke-width="1"/g)).to.have.length(2 * 2 * 3);
    expect(svg).to.include('>plain FedAvg</text>');
  });

  it('is a document with its text escaped and every coordinate a number', () => {
    expect(svg.startsWith('<svg ')).to.equal(true);
    expect(svg.endsWith('</svg>\n')).to.equal(true);
    expect(svg).to.include('a &lt;description&gt;');
    expect(svg).to.not.match(/NaN|undefined|Infinity/);
  });
});
