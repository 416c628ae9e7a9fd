/** Axes of charts: where a value lies, and which values are marked. */
import { ParameterError } from '../../lib/errors.js';

export interface Axis {
  readonly label: string;
  readonly kind: 'linear' | 'log';
  readonly min: number;
  readonly max: number;
  /** Whether values are shares, to be shown in percent. */
  readonly percent?: boolean;
}

/** Gaps between linear ticks at most. */
const LINEAR_GAPS = 6;
/** What is marked within a decade, by how many decades there are to mark. */
const WITHIN_A_DECADE = [1, 2, 5] as const;
const SLACK = 1e-9;

/**
 * 0 at the axis' start, 1 at its end; what lies beyond is drawn at the nearer of the two.
 *
 * @throws ParameterError `compression.axis` for what has no place on the axis
 */
export function position({ kind, min, max, label }: Axis, value: number): number {
  const share = kind === 'linear' ? (value - min) / (max - min) : Math.log(value / min) / Math.log(max / min);
  if (!Number.isFinite(share)) {
    throw new ParameterError('compression.axis', `${value} has no place on the axis "${label}".`);
  }
  return Math.min(1, Math.max(0, share));
}

function linearTicks(min: number, max: number): number[] {
  const raw = (max - min) / LINEAR_GAPS;
  const magnitude = 10 ** Math.floor(Math.log10(raw));
  const step = ([1, 2, 5, 10].find((factor) => factor * magnitude >= raw * (1 - SLACK)) ?? 10) * magnitude;
  const first = Math.ceil(min / step - SLACK);
  const last = Math.floor(max / step + SLACK);
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

function logTicks(min: number, max: number): number[] {
  const values: number[] = [];
  const first = Math.floor(Math.log10(min));
  const last = Math.ceil(Math.log10(max));
  for (let decade = first; decade <= last; decade += 1) {
    for (const factor of last - first > 3 ? [1] : WITHIN_A_DECADE) {
      const value = factor * 10 ** decade;
      if (value >= min * (1 - SLACK) && value <= max * (1 + SLACK)) values.push(value);
    }
  }
  return values;
}

export function ticks({ kind, min, max }: Axis): number[] {
  return kind === 'linear' ? linearTicks(min, max) : logTicks(min, max);
}

export function tickLabel({ percent }: Axis, value: number): string {
  const shown = percent === true ? 100 * value : value;
  return `${Number(shown.toPrecision(3))}${percent === true ? ' %' : ''}`;
}
