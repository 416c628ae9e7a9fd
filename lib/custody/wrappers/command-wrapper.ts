/**
 * Keys wrapped by an external program: the client of any key management service. The key goes in on stdin and the
 * wrapped key comes out on stdout, or the other way round; exit code 0 means that it worked.
 *
 * The programs come from the configuration, which only the user may write; a secret is never an argument, since every
 * process on the machine can read those.
 */
import { timingSafeEqual } from 'node:crypto';
import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { EnvironmentError, FormatError, RefusedError, type TensorGuardError } from '../../errors.js';
import { SecretBytes } from '../secret-bytes.js';
import { type CommandOutcome, type CommandResult, runBounded } from './bounded-command.js';
import {
  closedWrapper,
  type KeyWrapper,
  MAX_SECRET_BYTES,
  MAX_WRAPPED_BYTES,
  requireSecretSize,
  unwrapFailed,
  type WrapperDescription,
} from './key-wrapper.js';
import { showableLine } from './stderr-line.js';

const DEFAULT_TIMEOUT_SECONDS = 30;

const commandSchema = z
  .tuple(
    [
      // Searching PATH would let whoever sets it choose the program that sees the keys.
      z.string().max(4096).refine(isAbsolute, 'must be an absolute path'),
    ],
    z.string().max(4096),
  )
  .refine((command) => command.length <= 64 && command.every((part) => !part.includes('\0')));

export const commandConfigSchema = z.strictObject({
  kind: z.literal('command'),
  /** The program's absolute path and its arguments; no shell reads them. */
  wrap: commandSchema,
  unwrap: commandSchema,
  /** The operator's name for the wrapping key: it must change when that key does. Printable ASCII without blanks. */
  keyId: z.string().regex(/^[\x21-\x7e]{1,256}$/),
  /** Default 30. */
  timeoutSeconds: z.int().min(1).max(600).optional(),
  /** Names of environment variables that the programs get besides PATH and HOME. */
  environment: z
    .array(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,254}$/))
    .max(64)
    .optional(),
});

export type CommandConfig = z.infer<typeof commandConfigSchema>;

export interface CommandOptions {
  /** The role's directory, in which the programs run. */
  readonly directory: string;
}

type Direction = 'wrap' | 'unwrap';

export class CommandWrapper implements KeyWrapper {
  readonly #config: CommandConfig;
  readonly #directory: string;
  #closed = false;

  constructor(config: CommandConfig, options: CommandOptions) {
    this.#config = config;
    this.#directory = options.directory;
  }

  describe(): WrapperDescription {
    // Programs without their arguments, in which an operator may have put a token.
    const [wrapProgram] = this.#config.wrap;
    const [unwrapProgram] = this.#config.unwrap;
    return { kind: 'command', id: `command:${this.#config.keyId}`, detail: { wrapProgram, unwrapProgram } };
  }

  /**
   * Wraps, and unwraps the result to see that it is the secret again: a service that loses a key is found out while the
   * key is still here.
   *
   * @throws EnvironmentError `wrapper.command-failed`, `wrapper.command-timeout`, `wrapper.command-output`
   * @throws RefusedError `wrapper.command-reveals` if the wrapped key contains the secret
   */
  async wrap(secret: SecretBytes): Promise<Uint8Array> {
    requireSecretSize(secret.sizeBytes);
    // A copy, since the program reads it after `use` returns.
    const bytes = secret.use((lent) => Buffer.from(lent));
    try {
      const wrapped = await this.#run('wrap', bytes, MAX_WRAPPED_BYTES);
      if (containsSecret(wrapped, bytes)) {
        wrapped.fill(0);
        throw new RefusedError(
          'wrapper.command-reveals',
          `${this.#config.wrap[0]} gave back the key itself and encrypted nothing. Check the command.`,
        );
      }
      await this.#requireUnwraps(wrapped, bytes);
      return wrapped;
    } finally {
      bytes.fill(0);
    }
  }

  async unwrap(wrapped: Uint8Array): Promise<SecretBytes> {
    if (wrapped.length < 1 || wrapped.length > MAX_WRAPPED_BYTES) {
      throw new FormatError(
        'wrapper.malformed',
        `A wrapped key has 1 to ${MAX_WRAPPED_BYTES} bytes, and this has ${wrapped.length}. Restore its file.`,
      );
    }
    return new SecretBytes(await this.#run('unwrap', wrapped, MAX_SECRET_BYTES));
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  async #requireUnwraps(wrapped: Uint8Array, secret: Uint8Array): Promise<void> {
    const again = await this.unwrap(wrapped);
    const equal = again.use((bytes) => bytes.length === secret.length && timingSafeEqual(bytes, secret));
    again.wipe();
    if (!equal) {
      throw unwrapFailed(
        this.describe().id,
        `${this.#config.unwrap[0]} does not give back what ${this.#config.wrap[0]} was given; nothing was stored. ` +
          'Check that both commands name the same key.',
      );
    }
  }

  async #run(direction: Direction, input: Uint8Array, maxOutputBytes: number): Promise<Uint8Array> {
    if (this.#closed) throw closedWrapper();
    const timeoutSeconds = this.#config.timeoutSeconds ?? DEFAULT_TIMEOUT_SECONDS;
    const result = await runBounded(
      this.#config[direction],
      input,
      { directory: this.#directory, environment: this.#environment() },
      { timeoutMs: timeoutSeconds * 1000, maxOutputBytes },
    );
    const { outcome, output } = result;
    if (outcome.kind === 'exited' && outcome.status === 0 && output.length > 0) {
      return output;
    }
    const failure = this.#failure(direction, input, result);
    output.fill(0);
    throw failure;
  }

  #environment(): Record<string, string> {
    const names = ['PATH', 'HOME', ...(this.#config.environment ?? [])];
    return Object.fromEntries(
      names.flatMap((name) => {
        const value = process.env[name];
        return value === undefined ? [] : [[name, value] as const];
      }),
    );
  }

  #failure(direction: Direction, input: Uint8Array, result: CommandResult): TensorGuardError {
    // A program that fails to unwrap may have printed the key, which nobody here knows: nothing of it is shown.
    const line = direction === 'wrap' ? `It says: ${showableLine(result.stderr, [input])}. ` : '';
    const { code, what } = describeOutcome(result.outcome);
    return new EnvironmentError(
      code,
      `${this.#config[direction][0]}, which should ${direction} a key, ${what}. ${line}` +
        'Run it by hand with any file on stdin, and check its credentials and the network.',
    );
  }
}

function containsSecret(wrapped: Uint8Array, secret: Buffer): boolean {
  // A few bytes are in any ciphertext by chance.
  if (secret.length < 8) return false;
  return Buffer.from(wrapped.buffer, wrapped.byteOffset, wrapped.length).includes(secret);
}

function describeOutcome(outcome: CommandOutcome): { readonly code: string; readonly what: string } {
  switch (outcome.kind) {
    case 'exited':
      return outcome.status === 0
        ? { code: 'wrapper.command-output', what: 'wrote nothing to stdout' }
        : { code: 'wrapper.command-failed', what: `ended with ${outcome.status}` };
    case 'not-started':
      return { code: 'wrapper.command-failed', what: `cannot be started (${outcome.cause.message})` };
    case 'timeout':
      return { code: 'wrapper.command-timeout', what: 'did not end in time and was killed' };
    case 'too-much-output':
      return { code: 'wrapper.command-output', what: 'wrote more than a key can be, and was killed' };
  }
}
