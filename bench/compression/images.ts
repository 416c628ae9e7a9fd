/** The charts of docs/compression.md. */
import type { Axis } from './axis.js';
import { type Panel, renderChart, type Series } from './chart.js';
import type { FeedbackPoint } from './feedback.js';
import type { CompressionResults, FeedbackResult, SubjectResult } from './results.js';
import { KEEP_RATIOS, type SizeAndError } from './size-and-error.js';

/** From a little below the least to a little above the greatest of the values. */
function logAxis(label: string, values: readonly number[], percent: boolean): Axis {
  return {
    label,
    kind: 'log',
    min: Math.min(...values) / 1.2,
    max: Math.max(...values) * 1.2,
    percent,
  };
}

function errorPanel(
  title: string,
  subject: SubjectResult,
  yLabel: string,
  errorOf: (row: SizeAndError) => number,
): Panel {
  const { rows } = subject;
  const series = KEEP_RATIOS.flatMap((keepRatio, style) =>
    [true, false].map(
      (rotation): Series => ({
        label: `keep ${keepRatio}, ${rotation ? 'rotated' : 'not rotated'}`,
        style,
        marks: true,
        line: rotation ? 'solid' : 'dotted',
        points: rows
          .filter((row) => row.keepRatio === keepRatio && row.rotation === rotation)
          .map((row) => [row.bytesPerParameter, errorOf(row)] as const),
      }),
    ),
  );
  return {
    title,
    series,
    x: logAxis(
      'bytes a parameter (points: 8, 6, 4, 2 bits, upwards)',
      rows.map(({ bytesPerParameter }) => bytesPerParameter),
      false,
    ),
    y: logAxis(yLabel, rows.map(errorOf), true),
  };
}

function sizeImage({ subjects }: CompressionResults): string {
  const [subject] = subjects as readonly [SubjectResult, ...SubjectResult[]];
  return renderChart({
    description: `${subject.name}: relative error of one round's average against bytes a parameter, by keep ratio, bits and rotation`,
    columns: 2,
    panels: [
      errorPanel(
        `${subject.name}: the whole error`,
        subject,
        'error of the average',
        (row) => row.mean.relativeError,
      ),
      errorPanel(
        `${subject.name}: in what is sent`,
        subject,
        'error in what is sent',
        (row) => row.mean.sentError,
      ),
    ],
  });
}

function feedbackPanel(
  result: FeedbackResult,
  yLabel: string,
  percent: boolean,
  pick: (point: FeedbackPoint) => number,
  withoutFeedback: boolean,
): Panel {
  const runs = result.runs.filter(({ variant }) => withoutFeedback || variant !== 'no feedback');
  const series = runs.map(
    ({ variant, points }, style): Series => ({
      label: variant,
      style,
      marks: false,
      points: points.map((point) => [point.round, pick(point)] as const),
    }),
  );
  const largest = Math.max(...runs.flatMap(({ points }) => points.map(pick)));
  return {
    title: `keep ${result.keepRatio}, ${result.bits} bits`,
    series,
    x: { label: 'round', kind: 'linear', min: 0, max: result.rounds },
    y: { label: yLabel, kind: 'linear', min: 0, max: percent ? 1 : largest * 1.05, percent },
  };
}

function feedbackImage({ feedback }: CompressionResults): string {
  return renderChart({
    description:
      'Error feedback over rounds: the norm of the residual, and the distance of the accumulated average from the truth, with the recommended clip, with a clip at the norm of one delta, and without feedback',
    columns: feedback.length,
    panels: [
      ...feedback.map((result) =>
        feedbackPanel(result, 'residual, norms of a delta', false, ({ residualNorm }) => residualNorm, false),
      ),
      ...feedback.map((result) =>
        feedbackPanel(result, 'distance from the truth', true, ({ distance }) => distance, true),
      ),
    ],
  });
}

/** SVG documents by file name. */
export function measuredImages(results: CompressionResults): Map<string, string> {
  return new Map([
    ['compression-size-and-error.svg', sizeImage(results)],
    ['compression-error-feedback.svg', feedbackImage(results)],
  ]);
}
