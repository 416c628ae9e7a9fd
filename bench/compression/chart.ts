/**
 * Line charts as SVG, written by hand. They stand on a light panel of their own, so that they are readable on a page of
 * any colour; series differ by colour (Okabe and Ito's, told apart by most colour-blind readers), dash and mark.
 */
import { type Axis, position, tickLabel, ticks } from './axis.js';

export type Point = readonly [x: number, y: number];

export interface Series {
  /** The same label in several panels is one entry of the legend. */
  readonly label: string;
  /** Index into the colours, dashes and marks. */
  readonly style: number;
  readonly points: readonly Point[];
  /** Whether every point has a mark. */
  readonly marks: boolean;
  /** In place of the style's own dash. */
  readonly line?: 'solid' | 'dotted';
}

export interface Panel {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
}

export interface Chart {
  /** Read out in place of the image. */
  readonly description: string;
  readonly panels: readonly Panel[];
  readonly columns: number;
}

const COLOURS = ['#0072b2', '#d55e00', '#007a5a', '#8f4a80', '#5c5c5c'] as const;
const DASHES = ['none', '8 3', 'none', '8 3 2 3', '2 3'] as const;
const PANEL = { width: 330, height: 260, left: 62, right: 14, top: 30, bottom: 44 } as const;
const LEGEND_ROW = 20;
const MARGIN = 12;
const TEXT = '#24292f';
const LINES = '#d0d7de';

function escapeText(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');
}

function text(x: number, y: number, content: string, attributes = ''): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${attributes}>${escapeText(content)}</text>`;
}

function rule(x1: number, y1: number, x2: number, y2: number, colour: string, attributes = ''): string {
  const at = [x1, y1, x2, y2].map((value) => value.toFixed(1));
  return `<line x1="${at[0]}" y1="${at[1]}" x2="${at[2]}" y2="${at[3]}" stroke="${colour}" ${attributes}/>`;
}

function mark(style: number, x: number, y: number): string {
  const colour = COLOURS[style % COLOURS.length] as string;
  const [cx, cy] = [x.toFixed(1), y.toFixed(1)];
  if (style % 4 === 0) return `<circle cx="${cx}" cy="${cy}" r="3.5" fill="${colour}"/>`;
  if (style % 4 === 1) {
    return `<rect x="${(x - 3.2).toFixed(1)}" y="${(y - 3.2).toFixed(1)}" width="6.4" height="6.4" fill="${colour}"/>`;
  }
  const up = style % 4 === 2 ? -1 : 1;
  const corners: Point[] = [
    [x, y + 4.2 * up],
    [x - 4, y - 3 * up],
    [x + 4, y - 3 * up],
  ];
  return `<polygon points="${corners.map((corner) => corner.map((v) => v.toFixed(1)).join(',')).join(' ')}" fill="${colour}"/>`;
}

function stroke({ style, line }: Pick<Series, 'style' | 'line'>): string {
  const own = DASHES[style % DASHES.length] as string;
  const dash = line === undefined ? own : line === 'solid' ? 'none' : '2 3';
  return `fill="none" stroke="${COLOURS[style % COLOURS.length]}" stroke-width="2" stroke-dasharray="${dash}"`;
}

function axes(panel: Panel, left: number, top: number, width: number, height: number): string[] {
  const parts: string[] = [];
  for (const value of ticks(panel.y)) {
    const y = top + height - position(panel.y, value) * height;
    parts.push(rule(left, y, left + width, y, LINES));
    parts.push(text(left - 6, y + 4, tickLabel(panel.y, value), 'text-anchor="end"'));
  }
  for (const value of ticks(panel.x)) {
    const x = left + position(panel.x, value) * width;
    parts.push(rule(x, top + height, x, top + height + 4, TEXT));
    parts.push(text(x, top + height + 17, tickLabel(panel.x, value), 'text-anchor="middle"'));
  }
  parts.push(rule(left, top + height, left + width, top + height, TEXT));
  parts.push(rule(left, top, left, top + height, TEXT));
  const middle = top + height / 2;
  parts.push(text(left + width / 2, top + height + 35, panel.x.label, 'text-anchor="middle"'));
  parts.push(
    text(
      left - 48,
      middle,
      panel.y.label,
      `text-anchor="middle" transform="rotate(-90 ${(left - 48).toFixed(1)} ${middle.toFixed(1)})"`,
    ),
  );
  parts.push(text(left + width / 2, top - 12, panel.title, 'text-anchor="middle" font-weight="bold"'));
  return parts;
}

function drawPanel(panel: Panel, originX: number, originY: number): string[] {
  const left = originX + PANEL.left;
  const top = originY + PANEL.top;
  const width = PANEL.width - PANEL.left - PANEL.right;
  const height = PANEL.height - PANEL.top - PANEL.bottom;
  const parts = axes(panel, left, top, width, height);
  for (const series of panel.series) {
    const points = series.points.map(
      ([x, y]): Point => [left + position(panel.x, x) * width, top + height - position(panel.y, y) * height],
    );
    const path = points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(' ');
    parts.push(`<polyline points="${path}" ${stroke(series)}/>`);
    if (series.marks) parts.push(...points.map(([x, y]) => mark(series.style, x, y)));
  }
  return parts;
}

interface Legend {
  readonly parts: string[];
  readonly rows: number;
}

/** Entries in as many columns as there are of panels, row by row. */
function legend(panels: readonly Panel[], columns: number, top: number): Legend {
  const entries = new Map(
    panels.flatMap(({ series }) => series).map((series) => [series.label, series] as const),
  );
  const parts = [...entries.values()].flatMap((series, i) => {
    const x = MARGIN + PANEL.left + (i % columns) * PANEL.width;
    const y = top + Math.floor(i / columns) * LEGEND_ROW;
    return [
      `<polyline points="${x},${y} ${x + 34},${y}" ${stroke(series)}/>`,
      ...(series.marks ? [mark(series.style, x + 17, y)] : []),
      text(x + 42, y + 4, series.label),
    ];
  });
  return { parts, rows: Math.ceil(entries.size / columns) };
}

/** @returns a whole SVG document */
export function renderChart({ description, panels, columns }: Chart): string {
  const rows = Math.ceil(panels.length / columns);
  const width = 2 * MARGIN + columns * PANEL.width;
  const below = MARGIN + rows * PANEL.height;
  const { parts: legendParts, rows: legendRows } = legend(panels, columns, below + LEGEND_ROW);
  const height = below + (legendRows + 1) * LEGEND_ROW + MARGIN;
  const parts = panels.flatMap((panel, i) =>
    drawPanel(panel, MARGIN + (i % columns) * PANEL.width, MARGIN + Math.floor(i / columns) * PANEL.height),
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" ` +
      `aria-label="${escapeText(description)}" font-family="DejaVu Sans, Helvetica, Arial, sans-serif" font-size="11" fill="${TEXT}">`,
    `<title>${escapeText(description)}</title>`,
    `<rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="6" fill="#ffffff" stroke="${LINES}"/>`,
    ...parts,
    ...legendParts,
    '</svg>',
    '',
  ].join('\n');
}
