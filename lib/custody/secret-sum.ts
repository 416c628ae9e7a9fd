/**
 * From custodians' answers to the sum of secrets, S, and to who answered wrongly.
 *
 * Any t answers give a candidate. Where all answers lie on one polynomial there is only one; where they do not, each
 * t-subset gives its own, and a wrong one is uniform mod q: the bound on |S| and the residuals refuse it.
 */
import { RefusedError, VerificationError } from '../errors.js';
import { withinBound } from '../lwe/open.js';
import { type ParameterSet, parameterSet } from '../lwe/parameters.js';
import type { OpenedAnswer } from './answers.js';
import { interpolate, type SharingPlan } from './sharing.js';

/** Subsets that are tried before the owner gives up; 12 of 24 custodians would have 2.7 million. */
const MAX_SUBSETS = 5000;

export interface SecretSum {
  /** n coefficients, centred. */
  readonly coefficients: Int32Array;
  /** Custodians whose answers do not fit it: each answered wrongly, or a client dealt badly to it. */
  readonly disagreeing: readonly string[];
}

/** Residues mod q, centred into (-q/2, q/2). */
export function centre(set: ParameterSet, residues: Uint32Array): Int32Array {
  const half = (set.q - 1) / 2;
  return Int32Array.from(residues, (residue) => (residue > half ? residue - set.q : residue));
}

function* subsets<T>(items: readonly T[], size: number, from = 0): Generator<T[]> {
  if (size === 0) {
    yield [];
    return;
  }
  for (let i = from; i <= items.length - size; i += 1) {
    for (const rest of subsets(items, size - 1, i + 1)) yield [items[i] as T, ...rest];
  }
}

/** With threshold 1 a share is the secret itself, so that every answer is S: a polynomial of degree 0. */
function valueAt(set: ParameterSet, answers: readonly OpenedAnswer[], at: number): Uint32Array {
  return interpolate(
    set,
    answers.map(({ index }) => index),
    answers.map(({ residues }) => residues),
    at,
  );
}

function disagreeingWith(
  set: ParameterSet,
  base: readonly OpenedAnswer[],
  answers: readonly OpenedAnswer[],
): OpenedAnswer[] {
  return answers.filter((answer) => {
    if (base.includes(answer)) return false;
    const expected = valueAt(set, base, answer.index);
    return expected.some((residue, i) => residue !== answer.residues[i]);
  });
}

/**
 * Tries candidates for S until `open` accepts one: first the one that all answers agree on, and where they do not
 * agree, those of every t-subset.
 *
 * @param answers distinct, at least `plan.threshold`
 * @param contributors updates in the sum: |S| <= 16 * contributors
 * @param open throws a VerificationError where the candidate's residuals are too large
 * @throws VerificationError `open.no-consistent-answers`, or `open`'s own error where all answers agree
 * @throws RefusedError `open.too-many-subsets`
 */
export async function recoverSecretSum<T>(
  plan: SharingPlan,
  answers: readonly OpenedAnswer[],
  contributors: number,
  open: (secretSum: Int32Array) => Promise<T>,
): Promise<{ readonly sum: SecretSum; readonly opened: T }> {
  const set = parameterSet(plan.parameterSet);
  const first = answers.slice(0, plan.threshold);
  if (disagreeingWith(set, first, answers).length === 0) {
    const coefficients = centre(set, valueAt(set, first, 0));
    return { sum: { coefficients, disagreeing: [] }, opened: await open(coefficients) };
  }
  let tried = 0;
  for (const subset of subsets(answers, plan.threshold)) {
    tried += 1;
    if (tried > MAX_SUBSETS) {
      throw new RefusedError(
        'open.too-many-subsets',
        `${answers.length} answers disagree and have more than ${MAX_SUBSETS} subsets of ${plan.threshold}. Pass fewer answers.`,
      );
    }
    const coefficients = centre(set, valueAt(set, subset, 0));
    if (!withinBound(coefficients, set.errorBound * contributors)) continue;
    try {
      const opened = await open(coefficients);
      const disagreeing = disagreeingWith(set, subset, answers).map(({ custodian }) => custodian);
      return { sum: { coefficients, disagreeing }, opened };
    } catch (error) {
      if (!(error instanceof VerificationError)) throw error;
    }
  }
  throw new VerificationError(
    'open.no-consistent-answers',
    `The answers of ${answers.map(({ custodian }) => custodian).join(', ')} disagree, and no ${plan.threshold} of them open ` +
      'the aggregate: a custodian answered wrongly, or a client dealt badly. Ask more custodians, or close the round ' +
      'with none opened and run the next one in two cohorts.',
  );
}
