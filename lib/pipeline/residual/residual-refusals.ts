/** What the residual store refuses, and what to do about it. */
import { errorCode } from '../../durable/private-files.js';
import {
  EnvironmentError,
  FormatError,
  ParameterError,
  RefusedError,
  TensorGuardError,
  VerificationError,
} from '../../errors.js';
import type { ResidualKind } from './residual-format.js';

/** `detail` is a part of a sentence: "its digest does not match". */
export function corrupt(path: string, kind: ResidualKind, detail: string): VerificationError {
  const advice =
    kind === 'committed'
      ? 'Put back a copy of it, or start from zero: reset the residual of this policy (seal --reset-residual), ' +
        'which renames the file aside and loses what earlier rounds did not send.'
      : 'Put back a copy of it, or discard the change of this update, which loses what that round did not send; ' +
        'seal --reset-residual discards all of them, and what earlier rounds left over.';
  return new VerificationError(
    'residual.corrupt',
    `${path} cannot be trusted: ${detail}. Nothing was changed. ${advice}`,
  );
}

/** A NaN or an infinity among the values that a caller appends. */
export function nonFiniteValue(index: number): FormatError {
  return new FormatError(
    'residual.non-finite',
    `The change of a residual is not a finite number at value ${index}. Nothing was written: check the delta ` +
      'and the scale it was quantized with.',
  );
}

/** Adding a change would store a NaN or an infinity. */
export function nonFiniteSum(path: string, index: number): FormatError {
  return new FormatError(
    'residual.non-finite',
    `Adding ${path} to the committed residual gives no finite float32 at value ${index}. Nothing was changed. ` +
      'Discard the change of this update, or reset the residual of its policy (seal --reset-residual), and check ' +
      'the deltas.',
  );
}

/** Two residuals of one schema key differ in their number of values. */
export function otherValueCount(policy: string, found: number, expected: number): RefusedError {
  return new RefusedError(
    'residual.value-count',
    `The committed residual of policy "${policy}" has ${found} values under a schema key for which ${expected} ` +
      'were expected. A schema key must name the list of sent tensors; reset the residual if it once did not.',
  );
}

/** A change was given more or fewer values than announced. */
export function wrongAppendCount(given: number, announced: number): ParameterError {
  return new ParameterError(
    'residual.value-count',
    `The change of a residual was announced with ${announced} values and given ${given}. Append one value for ` +
      'each coordinate of the sent tensors.',
  );
}

export function changeExists(path: string): RefusedError {
  return new RefusedError(
    'residual.change-exists',
    `There is a change at ${path} already, and an update has one. Encrypt again: every update has a ` +
      'fingerprint of its own.',
  );
}

/** The staged change was published, discarded, or broken by an error before. */
export function stagedOver(): ParameterError {
  return new ParameterError(
    'residual.stage-over',
    'This staged change was published or discarded, or an error ended it. Stage the change again.',
  );
}

/** What to throw for `error`: an error of the file system or of the lock as one of ours, others as they are. */
export function storageFailed(path: string, error: unknown): unknown {
  return error instanceof TensorGuardError || errorCode(error) === undefined
    ? error
    : new EnvironmentError(
        'storage.failed',
        `${path} cannot be used; see the cause. Check the disk's free space and who may access the directory, ` +
          'then try again: the residuals are as they were, or the change is fully applied.',
        { cause: error },
      );
}
