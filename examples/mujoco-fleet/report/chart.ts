/** Success by round as SVG: a line an arm, a bar for every interval. Colours are Okabe and Ito's. */
import type { Rate } from '../fleet/measure.js';
import type { Curve } from '../run-demo.js';

const COLOURS = ['#5c5c5c', '#0072b2', '#d55e00', '#007a5a', '#b8860b', '#8f4a80'];
const DASHES = ['2 3', 'none', '7 3', 'none', 'none', '8 3 2 3'];
const PANEL = { width: 420, height: 300, left: 52, right: 14, top: 36, bottom: 44 } as const;
const LEGEND_ROW = 20;
const LEGEND_COLUMNS = 2;
const MARGIN = 12;
const TEXT = '#24292f';
const LINES = '#d0d7de';
/** How far apart arms' points of the same round stand, so that bars do not hide each other: pixels. */
const SHIFT = 4;

export interface ChartPanel {
  readonly title: string;
  readonly rateOf: (point: Curve['points'][number]) => Rate;
}

export const PANELS: readonly ChartPanel[] = [
  { title: 'sites that nobody trained at', rateOf: ({ unseen }) => unseen },
  { title: "the robots' own sites", rateOf: ({ training }) => training },
];

function escapeText(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');
}

function text(x: number, y: number, content: string, attributes = ''): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${attributes}>${escapeText(content)}</text>`;
}

function line(points: readonly (readonly [number, number])[], attributes: string): string {
  const path = points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(' ');
  return `<polyline points="${path}" fill="none" ${attributes}/>`;
}

function stroke(index: number): string {
  const colour = COLOURS[index % COLOURS.length] as string;
  return `stroke="${colour}" stroke-width="2" stroke-dasharray="${DASHES[index % DASHES.length]}"`;
}

function drawPanel(curves: readonly Curve[], { title, rateOf }: ChartPanel, originX: number): string[] {
  const left = originX + PANEL.left;
  const top = MARGIN + PANEL.top;
  const width = PANEL.width - PANEL.left - PANEL.right;
  const height = PANEL.height - PANEL.top - PANEL.bottom;
  const rounds = Math.max(...curves.map(({ points }) => points.length - 1));
  const x = (round: number): number => left + (width * (round + 0.5)) / (rounds + 1);
  const y = (rate: number): number => top + height * (1 - rate);
  const parts = [text(left + width / 2, top - 14, title, 'text-anchor="middle" font-weight="bold"')];
  for (const rate of [0, 0.2, 0.4, 0.6, 0.8, 1]) {
    parts.push(
      line(
        [
          [left, y(rate)],
          [left + width, y(rate)],
        ],
        `stroke="${LINES}"`,
      ),
    );
    parts.push(text(left - 6, y(rate) + 4, `${Math.round(100 * rate)} %`, 'text-anchor="end"'));
  }
  for (let round = 0; round <= rounds; round += 1) {
    parts.push(text(x(round), top + height + 17, String(round), 'text-anchor="middle"'));
  }
  parts.push(text(left + width / 2, top + height + 35, 'round', 'text-anchor="middle"'));
  for (const [i, curve] of curves.entries()) {
    const shift = (i - (curves.length - 1) / 2) * SHIFT;
    const points = curve.points.map((point) => ({ at: x(point.round) + shift, rate: rateOf(point) }));
    parts.push(
      line(
        points.map(({ at, rate }) => [at, y(rate.rate)] as const),
        stroke(i),
      ),
    );
    for (const { at, rate } of points) {
      const colour = COLOURS[i % COLOURS.length] as string;
      parts.push(
        line(
          [
            [at, y(rate.lower)],
            [at, y(rate.upper)],
          ],
          `stroke="${colour}" stroke-width="1"`,
        ),
      );
      parts.push(`<circle cx="${at.toFixed(1)}" cy="${y(rate.rate).toFixed(1)}" r="2.5" fill="${colour}"/>`);
    }
  }
  return parts;
}

/** @returns a whole SVG document, on a light ground of its own */
export function renderSuccessChart(curves: readonly Curve[], description: string): string {
  const width = 2 * MARGIN + PANELS.length * PANEL.width;
  const below = MARGIN + PANEL.height + LEGEND_ROW;
  const height = below + Math.ceil(curves.length / LEGEND_COLUMNS) * LEGEND_ROW + MARGIN;
  const legend = curves.flatMap((curve, i) => {
    const atX = MARGIN + PANEL.left + (i % LEGEND_COLUMNS) * PANEL.width;
    const atY = below + Math.floor(i / LEGEND_COLUMNS) * LEGEND_ROW;
    return [
      line(
        [
          [atX, atY],
          [atX + 34, atY],
        ],
        stroke(i),
      ),
      text(atX + 42, atY + 4, curve.arm),
    ];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" ` +
      `aria-label="${escapeText(description)}" font-family="DejaVu Sans, Helvetica, Arial, sans-serif" font-size="11" fill="${TEXT}">`,
    `<title>${escapeText(description)}</title>`,
    `<rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="6" fill="#ffffff" stroke="${LINES}"/>`,
    ...PANELS.flatMap((panel, i) => drawPanel(curves, panel, MARGIN + i * PANEL.width)),
    ...legend,
    '</svg>',
    '',
  ].join('\n');
}
