import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { position, tickLabel, ticks } from '../../bench/compression/axis.js';
import { renderChart } from '../../bench/compression/chart.js';
import { CLOSING_MARKER, openingMarker, replaceMeasured } from '../../bench/compression/document.js';
import { measuredImages } from '../../bench/compression/images.js';
import { markdownTable, percent } from '../../bench/compression/markdown.js';
import type { CompressionResults } from '../../bench/compression/results.js';
import { measuredSections } from '../../bench/compression/sections.js';
import { BITS, KEEP_RATIOS } from '../../bench/compression/size-and-error.js';
import { packageRoot } from '../../lib/native.js';
import { expectRefusal } from '../support/refusals.js';

const RESULTS: CompressionResults = {
  seed: 'a seed',
  repetitions: 3,
  subjects: [
    {
      name: 'tiny <adapter>',
      origin: 'made up',
      parameters: 1_234_567,
      tensorCount: 2,
      densitySpread: 0.5,
      rows: KEEP_RATIOS.flatMap((keepRatio) =>
        BITS.flatMap((bits) =>
          [true, false].map((rotation) => ({
            keepRatio,
            bits,
            rotation,
            bytesPerParameter: (keepRatio * bits) / 4,
            mean: { relativeError: 1 / bits, sentError: 0.5 / bits, saturatedFraction: 0 },
            spread: 0.01,
            predicted: 1 / bits,
          })),
        ),
      ),
    },
  ],
  feedbackSubject: 'tiny <adapter>',
  feedback: [
    {
      keepRatio: 0.5,
      bits: 8,
      parameters: 100,
      rounds: 4,
      runs: (['recommended clip', "clip at the delta's norm", 'no feedback'] as const).map((variant) => ({
        variant,
        clip: 2,
        points: [1, 2, 3, 4].map((round) => ({ round, residualNorm: round / 3, distance: 1 / round })),
      })),
    },
  ],
  sameSize: [
    {
      keepRatio: 0.03,
      bits: 4,
      parameters: 100,
      rounds: 2,
      runs: [
        {
          variant: 'recommended clip',
          clip: 2,
          points: [1, 2].map((round) => ({ round, residualNorm: 41 + round, distance: 0.125 })),
        },
      ],
    },
  ],
  large: [],
  privateRounds: [],
};

describe('the compression document', () => {
  it('is changed between its markers, and nowhere else', () => {
    const document = `# Title\n\n${openingMarker('a')}\nold\n${CLOSING_MARKER}\n\nProse.\n\n${openingMarker('b')}\n${CLOSING_MARKER}\nEnd.\n`;
    const replaced = replaceMeasured(
      document,
      new Map([
        ['a', 'new $& a'],
        ['b', 'new b'],
      ]),
    );
    expect(replaced).to.equal(
      `# Title\n\n${openingMarker('a')}\n\nnew $& a\n\n${CLOSING_MARKER}\n\nProse.\n\n${openingMarker('b')}\n\nnew b\n\n${CLOSING_MARKER}\nEnd.\n`,
    );
    expect(replaceMeasured(replaced, new Map([['b', 'new b']]))).to.equal(replaced);
  });

  it('is refused where a marker is missing, stands twice, or is never closed', async () => {
    const twice = `${openingMarker('a')}\n${CLOSING_MARKER}\n${openingMarker('a')}\n${CLOSING_MARKER}`;
    for (const document of ['', openingMarker('a'), `${CLOSING_MARKER}${openingMarker('a')}`, twice]) {
      await expectRefusal('compression.marker', () => replaceMeasured(document, new Map([['a', 'x']])));
    }
  });

  it('has a marker for every section, and the charts that it shows are there', () => {
    const page = readFileSync(join(packageRoot(), 'docs', 'compression.md'), 'utf8');
    const sections = measuredSections(RESULTS);
    const replaced = replaceMeasured(page, sections);
    for (const content of sections.values()) expect(replaced).to.include(content);
    const images = [...page.matchAll(/\]\((images\/[^)]+)\)/g)].map(([, image]) => image as string);
    expect(images.map((image) => image.replace('images/', ''))).to.have.members([
      ...measuredImages(RESULTS).keys(),
    ]);
    for (const image of images) expect(existsSync(join(packageRoot(), 'docs', image)), image).to.equal(true);
    expect(page, 'it was written by the measurement').to.match(/seed "compression"/);
  });

  it('tells figures with their units', () => {
    const [size] = [...measuredSections(RESULTS).values()];
    expect(size).to.include('1,234,567 parameters in 2 tensors');
    expect(size).to.match(/\| 0\.5 +\| 4 +\| 0\.500 +\| 25 % +\| 12\.5 % +\| 25 %/);
    expect(measuredSections(RESULTS).get('one size, several widths')).to.match(
      /\| 0\.03 +\| 4 +\| 2 +\| 42 +\| 43 +\| 12\.5 % /,
    );
    expect([percent(0.99634), percent(1.004), percent(0.0036612)]).to.deep.equal([
      '99.6 %',
      '100.4 %',
      '0.366 %',
    ]);
    expect(markdownTable(['a', 'bb'], [['1', '2222']])).to.equal(
      '| a   | bb   |\n| --- | ---- |\n| 1   | 2222 |',
    );
  });
});

describe('a chart', () => {
  it('is well-formed, with every label and no figure that is none', () => {
    for (const image of measuredImages(RESULTS).values()) {
      const open: string[] = [];
      for (const [, closing, name, selfClosing] of image.matchAll(
        /<(\/?)([a-z]+)(?:"[^"]*"|[^">])*?(\/?)>/g,
      )) {
        if (closing === '/') expect(open.pop()).to.equal(name);
        else if (selfClosing !== '/') open.push(name as string);
      }
      expect(open).to.deep.equal([]);
      expect(image).not.to.match(/NaN|Infinity|undefined/);
    }
    const [size, feedback] = [...measuredImages(RESULTS).values()];
    expect(size).to.include('tiny &lt;adapter&gt;: the whole error').and.to.include('keep 0.01, not rotated');
    expect(feedback).to.include('clip at the delta').and.to.include('distance from the truth');
  });

  it('draws points where they belong', () => {
    const x = { label: 'x', kind: 'linear', min: 0, max: 10 } as const;
    const y = { label: 'y', kind: 'log', min: 0.01, max: 1, percent: true } as const;
    expect(position(x, 5)).to.equal(0.5);
    expect(position(y, 0.1)).to.be.closeTo(0.5, 1e-12);
    expect(position(y, 7)).to.equal(1);
    expect(() => position(y, Number.NaN)).to.throw('no place');
    expect(ticks(x)).to.deep.equal([0, 2, 4, 6, 8, 10]);
    expect(ticks(y).map((value) => tickLabel(y, value))).to.deep.equal([
      '1 %',
      '2 %',
      '5 %',
      '10 %',
      '20 %',
      '50 %',
      '100 %',
    ]);
    const image = renderChart({
      description: 'one line',
      columns: 1,
      panels: [
        {
          title: 't',
          x,
          y,
          series: [
            {
              label: 's',
              style: 0,
              marks: false,
              points: [
                [0, 0.01],
                [10, 1],
              ],
            },
          ],
        },
      ],
    });
    const [, from, to] = /<polyline points="([\d.]+,[\d.]+) ([\d.]+,[\d.]+)"/.exec(image) ?? [];
    const [left, bottom] = (from as string).split(',').map(Number) as [number, number];
    const [right, top] = (to as string).split(',').map(Number) as [number, number];
    expect(right).to.be.above(left);
    expect(top).to.be.below(bottom);
  });
});
