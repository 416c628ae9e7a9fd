/** Opening an aggregate with the sum of its contributors' secrets. */
import { ParameterError, VerificationError } from '../errors.js';
import { native, threadCount } from '../native.js';
import { parameterSet } from './parameters.js';
import { type PlanArithmetic, residualLimit } from './plan.js';
import { maskKey } from './streams.js';
import { wireFormat } from './wire.js';

export interface OpenRequest {
  readonly plan: PlanArithmetic;
  readonly seed: Uint8Array;
  readonly planFingerprint: Uint8Array;
  /** plan.ciphertextBytes bytes on a 4-byte boundary. */
  readonly aggregate: Uint8Array;
  /** S: n coefficients, centred, |S_j| <= 16 * contributors. */
  readonly secretSum: Int32Array;
  /** Updates in the sum. */
  readonly contributors: number;
  /** Out: plan.valueCount sums, centred. Zeroed where the opening fails. */
  readonly values: Int32Array;
  readonly threads?: number;
}

export interface OpenReport {
  readonly maxAbsResidual: number;
  /** Standard deviation of the residuals over all coefficients sent. */
  readonly residualStandardDeviation: number;
}

/**
 * Decodes the sum by exact integer rounding (docs/protocol.md section 6). The raw noisy value stays in native code:
 * publishing it would reveal S.
 *
 * A wrong S leaves residuals that are uniform, and fails at once; so does an aggregate that belongs to another set.
 *
 * @throws VerificationError `open.secret-sum-out-of-range`, `open.residual-too-large`
 * @throws ParameterError `open.secret-sum-length`
 */
export async function openAggregate(request: OpenRequest): Promise<OpenReport> {
  const { plan, secretSum, contributors, values } = request;
  const set = parameterSet(plan.parameterSet);
  if (secretSum.length !== set.n) {
    throw new ParameterError(
      'open.secret-sum-length',
      `The sum of secrets has ${secretSum.length} coefficients; ${plan.parameterSet} has ${set.n}.`,
    );
  }
  // S is the owner's to see: these checks may branch on it.
  if (!withinBound(secretSum, set.errorBound * contributors)) {
    throw new VerificationError(
      'open.secret-sum-out-of-range',
      `The custodians' answers give a sum of secrets beyond ${set.errorBound} a client: an answer is wrong, or a ` +
        'client dealt badly. Ask more custodians; if it stays, open none, close the round and bisect the cohort.',
    );
  }
  const key = maskKey(request.seed, plan.parameterSet, request.planFingerprint);
  let largest = 0;
  let sumOfSquares = 0;
  for (const segment of plan.segments) {
    const { firstValue, offsetBytes } = segment;
    const statistics = await native().open({
      ...wireFormat(segment),
      aggregate: request.aggregate.subarray(offsetBytes, offsetBytes + segment.ciphertextBytes),
      secretSum,
      values: values.subarray(firstValue, firstValue + segment.valueCount),
      maskKey: key,
      threads: threadCount(request.threads),
    });
    const limit = Math.min(
      residualLimit(segment, contributors, plan.segments.length),
      segment.residualBound - 1,
    );
    if (statistics.maxAbsResidual > limit) {
      values.fill(0);
      throw new VerificationError(
        'open.residual-too-large',
        `A residual of ${statistics.maxAbsResidual} exceeds the plan's limit of ${limit} for ${contributors} clients: the ` +
          'sum of secrets does not belong to this aggregate, or a client sealed garbage. Nothing was decoded; close ' +
          'the round and run the next one in two cohorts.',
      );
    }
    largest = Math.max(largest, statistics.maxAbsResidual);
    sumOfSquares += statistics.residualSumOfSquares;
  }
  return {
    maxAbsResidual: largest,
    residualStandardDeviation: Math.sqrt(sumOfSquares / (plan.ringElements * set.n)),
  };
}

/** Whether every |coefficient| is at most `bound`. */
export function withinBound(coefficients: Int32Array, bound: number): boolean {
  return coefficients.every((coefficient) => Math.abs(coefficient) <= bound);
}
