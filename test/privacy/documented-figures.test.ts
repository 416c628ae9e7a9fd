/** The figures of docs/privacy.md, recomputed. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { calibrateNoise } from '../../lib/privacy/calibrate.js';

/** The rows of the table under a heading, as cells. */
function documentedRows(heading: string): string[][] {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, 'docs', 'privacy.md'))) directory = dirname(directory);
  const text = readFileSync(join(directory, 'docs', 'privacy.md'), 'utf8');
  const section = text.slice(text.indexOf(heading)).split('\n## ')[0] ?? '';
  const lines = section.split('\n').filter((line) => line.startsWith('|'));
  return lines.slice(2).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

describe('the figures of docs/privacy.md', () => {
  it('show what quorum, colluders, values and epsilon cost in noise', () => {
    const rows = documentedRows('## Quorum, colluders, values and noise');
    expect(rows).to.have.length(8);
    const computed = rows.map(([epsilon = '', quorum = '', colluders = '', values = '']) => {
      const [size, dimension] = [Number(quorum), Number(values.replaceAll(',', ''))];
      const { release, noiseMultiplier } = calibrateNoise({
        ...{ mechanism: 'skellam', clip: 1, scale: 0.001, dimension, honest: size - Number(colluders) },
        ...{ epsilon: Number(epsilon), delta: 1e-5, rounds: 10 },
      });
      const deviation = Math.sqrt(release.clientVariance);
      // Of the average: the root of the summed variances over the quorum, all values together.
      const norm = Math.sqrt((dimension * release.clientVariance) / size) * 0.001;
      return [
        epsilon,
        quorum,
        colluders,
        values,
        noiseMultiplier.toFixed(2),
        deviation.toFixed(0),
        norm.toFixed(1),
      ];
    });
    expect(computed).to.deep.equal(rows);
  });
});
