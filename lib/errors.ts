/**
 * The one error hierarchy. Every error that leaves the package carries a stable `code` (scripts and
 * services match on it) and a message that says what was wrong and what to do about it.
 */

/** Errors a caller can act on. `exitCode` is what the command line ends with. */
export class TensorGuardError extends Error {
  readonly code: string;
  readonly exitCode: 1 | 2;

  constructor(code: string, message: string, options?: { cause?: unknown; exitCode?: 1 | 2 }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.exitCode = options?.exitCode ?? 1;
  }
}

/** The input is malformed: a file, a field, a tensor. */
export class FormatError extends TensorGuardError {}

/** The input is well formed, and a rule (roster, plan, policy, quorum, ledger) refuses it. */
export class RefusedError extends TensorGuardError {}

/** A signature, digest, fingerprint or seal does not hold. */
export class VerificationError extends TensorGuardError {}

/** The parameters cannot work together: a plan that does not fit, an argument out of range. */
export class ParameterError extends TensorGuardError {}

/** The machine lacks something: the addon, an instruction set, a file, a permission. */
export class EnvironmentError extends TensorGuardError {}

/** The command line was used wrongly. */
export class UsageError extends TensorGuardError {
  constructor(code: string, message: string) {
    super(code, message, { exitCode: 2 });
  }
}
