/** An interval and a bound on one scale: where each lies, from 0 to 1. */

export interface IntervalInput {
  readonly lower: number;
  readonly upper: number;
  readonly estimate?: number | undefined;
  readonly bound?: number | undefined;
}

export interface IntervalPlaces {
  readonly start: number;
  readonly end: number;
  readonly estimate: number | undefined;
  readonly bound: number | undefined;
}

/** Beside the outermost mark. */
const MARGIN_PART = 0.12;

export function intervalPlaces({ lower, upper, estimate, bound }: IntervalInput): IntervalPlaces {
  const marks = [lower, upper, estimate, bound].filter(
    (mark) => mark !== undefined && Number.isFinite(mark),
  ) as number[];
  const [least, most] = [Math.min(...marks), Math.max(...marks)];
  const width = most - least || Math.abs(most) || 1;
  const place = (value: number): number =>
    Math.min(1, Math.max(0, (value - least + MARGIN_PART * width) / (width * (1 + 2 * MARGIN_PART))));
  return {
    start: place(lower),
    end: place(upper),
    estimate: estimate === undefined ? undefined : place(estimate),
    bound: bound === undefined ? undefined : place(bound),
  };
}
