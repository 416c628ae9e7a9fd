/**
 * Outliers by the median absolute deviation of what clients report about themselves.
 *
 * A first signal, against broken trainers and wrong units. Against a liar it is worth nothing: whoever poisons an update
 * also reports the norm that everybody else has. The aggregator's policy says whether an update that it flags is left out
 * (`safety.reportedOutliers`); evidence takes sketches that are computed from the ciphertext, and the gate that a candidate
 * has to pass.
 *
 * Statistics come in buckets of two binary digits, so that most of a healthy fleet often reports the same value. The
 * deviation is then 0, and nobody is flagged: any other rule would flag everyone who is one bucket higher.
 */
import type { OutlierCandidate, OutlierTest, OutlierVerdict } from './outlier-test.js';

/** The deviation of a normal distribution, over its median absolute deviation. */
const NORMAL_CONSISTENCY = 1.4826;
const LIMIT_IN_DEVIATIONS = 3;
/** Of two values none is further from the median than the other. */
const MIN_VALUES = 3;

const REPORTED_TESTS = {
  gradientNormMax: 'reported-gradient-norm-max-mad',
  gradientNormMean: 'reported-gradient-norm-mean-mad',
} as const;

export type ReportedNorm = 'gradientNormMax' | 'gradientNormMean';

/** Flags values above median + 3 * 1.4826 * MAD, from three values on, and never on a MAD of 0. */
export function reportedStatisticTest(statistic: ReportedNorm = 'gradientNormMax'): OutlierTest {
  return {
    name: REPORTED_TESTS[statistic],
    reason: `its ${statistic} is above the median of the round by more than 3 deviations`,
    judge: async (candidates) => judgeReported(candidates, statistic),
  };
}

/** The same, for whoever cannot wait. @returns a verdict for each candidate, in their order */
export function judgeReported(
  candidates: readonly OutlierCandidate[],
  statistic: ReportedNorm,
): OutlierVerdict[] {
  const limit = limitOf(candidates.flatMap(({ statistics }) => statistics[statistic] ?? []));
  return candidates.map(({ client, fingerprint, statistics }) => {
    const value = statistics[statistic];
    return {
      client,
      fingerprint,
      flagged: value !== undefined && limit !== undefined && value > limit,
      ...(value !== undefined && { value }),
      ...(limit !== undefined && { limit }),
    };
  });
}

/** Above this a value is an outlier; undefined where too few values, or too equal ones, say nothing. */
function limitOf(values: readonly number[]): number | undefined {
  if (values.length < MIN_VALUES) return undefined;
  const center = median(values);
  const deviation = median(values.map((value) => Math.abs(value - center)));
  return deviation === 0 ? undefined : center + LIMIT_IN_DEVIATIONS * NORMAL_CONSISTENCY * deviation;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] as number;
  // Halved before they are added: two values near the largest number have a finite mean.
  return sorted.length % 2 === 1 ? upper : (sorted[middle - 1] as number) / 2 + upper / 2;
}
