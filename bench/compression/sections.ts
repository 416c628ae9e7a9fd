/** The measured sections of docs/compression.md. */
import type { FeedbackRun } from './feedback.js';
import { LARGE_CLIENTS, LIMIT_BYTES } from './large-adapter.js';
import { grouped, markdownTable, percent, threeDigits } from './markdown.js';
import { NOISE_MULTIPLIER, PRIVACY_DELTA } from './private-rounds.js';
import {
  type CompressionResults,
  FEEDBACK_CLIENTS,
  type FeedbackResult,
  type SubjectResult,
} from './results.js';
import { CLIENTS, type SizeAndError } from './size-and-error.js';

function rowFor(
  rows: readonly SizeAndError[],
  { keepRatio, bits }: Pick<SizeAndError, 'keepRatio' | 'bits'>,
  rotation: boolean,
): SizeAndError {
  return rows.find(
    (row) => row.keepRatio === keepRatio && row.bits === bits && row.rotation === rotation,
  ) as SizeAndError;
}

function subjectTable({ rows }: SubjectResult): string {
  return markdownTable(
    [
      'keep',
      'bits',
      'bytes a parameter',
      'error',
      'of it in what is sent',
      'predicted error',
      'saturated',
      'error, no rotation',
      'of it in what is sent',
    ],
    rows
      .filter(({ rotation }) => rotation)
      .map((row) => {
        const plain = rowFor(rows, row, false);
        return [
          String(row.keepRatio),
          String(row.bits),
          row.bytesPerParameter.toFixed(3),
          percent(row.mean.relativeError),
          percent(row.mean.sentError),
          percent(row.predicted),
          percent(row.mean.saturatedFraction),
          percent(plain.mean.relativeError),
          percent(plain.mean.sentError),
        ];
      }),
  );
}

function sizeSection({ subjects, seed, repetitions }: CompressionResults): string {
  const largestSpread = Math.max(...subjects.flatMap(({ rows }) => rows.map(({ spread }) => spread)));
  return [
    `${CLIENTS} clients; seed "${seed}"; means of ${repetitions} rounds, each with another subsample and other randomness. ` +
      `Rounding draws from the system's generator and differs from run to run: between the ${repetitions} rounds no error ` +
      `differed by more than ${percent(largestSpread)} of itself.`,
    ...subjects.map((subject) =>
      [
        `**${subject.name}**: ${grouped(subject.parameters)} parameters in ${subject.tensorCount} tensors; ${subject.origin}.`,
        subjectTable(subject),
      ].join('\n\n'),
    ),
  ].join('\n\n');
}

function feedbackRow(keepRatio: number, bits: number, rounds: number, run: FeedbackRun): string[] {
  const end = run.points.at(-1);
  const half = run.points[(run.points.length >> 1) - 1];
  return [
    String(keepRatio),
    String(bits),
    run.variant,
    threeDigits(run.clip),
    String(rounds),
    ...(run.variant === 'no feedback'
      ? ['-', '-']
      : [threeDigits(half?.residualNorm ?? 0), threeDigits(end?.residualNorm ?? 0)]),
    percent(end?.distance ?? 0),
  ];
}

function feedbackSection({ feedback, feedbackSubject, seed }: CompressionResults): string {
  const sizes = feedback.map(
    ({ keepRatio, bits, parameters }) => `${grouped(parameters)} at keep ${keepRatio} and ${bits} bits`,
  );
  return [
    `${FEEDBACK_CLIENTS} clients with tensors of ${feedbackSubject} (parameters: ${sizes.join(', ')}); seed "${seed}". Norms are in ` +
      'norms of one delta. The distance is that of the sum of all averages from the sum of all plain averages, of that sum.',
    markdownTable(
      [
        'keep',
        'bits',
        'variant',
        'clip',
        'rounds',
        'residual, half way',
        'residual, at the end',
        'distance at the end',
      ],
      feedback.flatMap(({ keepRatio, bits, rounds, runs }) =>
        runs.map((run) => feedbackRow(keepRatio, bits, rounds, run)),
      ),
    ),
  ].join('\n\n');
}

function sameSizeSection({ sameSize, feedbackSubject, seed }: CompressionResults): string {
  const [{ parameters }] = sameSize as readonly [FeedbackResult, ...FeedbackResult[]];
  return [
    `The keep ratios of the four first rows above, run with error feedback on one layer of ${feedbackSubject} ` +
      `(${grouped(parameters)} parameters), ${FEEDBACK_CLIENTS} clients, recommended clip, seed "${seed}".`,
    markdownTable(
      ['keep', 'bits', 'rounds', 'residual, half way', 'residual, at the end', 'distance at the end'],
      sameSize.flatMap(({ keepRatio, bits, rounds, runs }) =>
        runs.map((run) => {
          const [, , , , , half, end, distance] = feedbackRow(keepRatio, bits, rounds, run);
          return [threeDigits(keepRatio), String(bits), String(rounds), half, end, distance].map(String);
        }),
      ),
    ),
  ].join('\n\n');
}

function largeSection({ large, subjects }: CompressionResults): string {
  const spreads = subjects.map(({ name, densitySpread }) => `${name} ${threeDigits(densitySpread)}`);
  return [
    `${LARGE_CLIENTS} clients, ${grouped(LIMIT_BYTES)} bytes, predictions of the planner. "Spread" is the standard deviation of the ` +
      `logarithm of the tensors' mean squares, drawn at random where it is not 0. (Measured: ${spreads.join('; ')}.)`,
    markdownTable(
      [
        'asked',
        'bits admitted',
        'spread',
        'bits used',
        'keep ratio',
        'update, MB',
        'error, first round',
        'rounds to arrive',
        'residual, deltas',
        'rounding error, steady',
      ],
      large.map(({ asked, bits, energySpread, usedBits, keepRatio, updateBytes, expected }) => [
        asked === 'auto' ? 'what fits' : `keep ${asked}`,
        bits.min === bits.max ? String(bits.min) : `${bits.min}-${bits.max}`,
        String(energySpread),
        usedBits.min === usedBits.max ? String(usedBits.min) : `${usedBits.min}-${usedBits.max}`,
        threeDigits(keepRatio),
        (updateBytes / 1e6).toFixed(2),
        percent(expected.relativeError),
        threeDigits(expected.steadyState.roundsToArrive),
        threeDigits(expected.steadyState.residualNormRatio),
        percent(expected.steadyState.roundingError),
      ]),
    ),
  ].join('\n\n');
}

function privacySection({ privateRounds }: CompressionResults): string {
  return [
    `SmolVLA's shapes, energies alike, Skellam noise, noise multiplier ${NOISE_MULTIPLIER}, delta ${PRIVACY_DELTA}; planned, not measured.`,
    markdownTable(
      [
        'clients (quorum, colluders)',
        'keep',
        'values',
        'bits',
        'bytes a parameter',
        'epsilon a round',
        'norm of the noise in the average, clips',
      ],
      privateRounds.map(({ fleet, keepRatio, values, usedBits, bytesPerParameter, epsilon, noiseNorm }) => [
        `${fleet.clients} (${fleet.quorum}, ${fleet.colluders})`,
        String(keepRatio),
        grouped(values),
        usedBits.min === usedBits.max ? String(usedBits.min) : `${usedBits.min}-${usedBits.max}`,
        bytesPerParameter.toFixed(3),
        threeDigits(epsilon),
        threeDigits(noiseNorm),
      ]),
    ),
  ].join('\n\n');
}

/** Sections by the names that the document's markers give them. */
export function measuredSections(results: CompressionResults): Map<string, string> {
  return new Map([
    ['size and error', sizeSection(results)],
    ['error feedback', feedbackSection(results)],
    ['a large adapter', largeSection(results)],
    ['one size, several widths', sameSizeSection(results)],
    ['private rounds', privacySection(results)],
  ]);
}
