/** Episodes from a program: the request on its stdin, one JSON line for each episode on its stdout. */
import { type CommandResult, runBounded } from '../../custody/wrappers/bounded-command.js';
import { showableLine } from '../../custody/wrappers/stderr-line.js';
import { EnvironmentError } from '../../errors.js';
import { type Evaluator, parseEpisodeLines, requestDocument } from './evaluator.js';

/** Beyond any episode that the schema accepts. */
const MAX_EPISODE_LINE_BYTES = 1024;
const MAX_OTHER_BYTES = 1 << 16;

export interface CommandEvaluatorOptions {
  /** For one request, with all of its seeds; then the program is killed, and what it started. */
  readonly timeoutMs: number;
  /** Where it runs; the current directory unless told. */
  readonly directory?: string;
}

/**
 * Runs a program, found on PATH like any other, without a shell. It inherits the environment (simulators and GPUs need much
 * of it) but for variables called `TENSORGUARD_*`: they are no evaluator's business.
 *
 * The evaluator throws EnvironmentError `evaluation.command-failed`, `evaluation.command-timeout`,
 * `evaluation.output-too-large`; FormatError `evaluation.malformed-result`.
 */
export function commandEvaluator(
  command: readonly [string, ...string[]],
  options: CommandEvaluatorOptions,
): Evaluator {
  return async (request) => {
    const result = await runBounded(
      command,
      Buffer.from(requestDocument(request)),
      { directory: options.directory ?? process.cwd(), environment: inheritedEnvironment() },
      {
        timeoutMs: options.timeoutMs,
        maxOutputBytes: 2 * request.seeds.length * MAX_EPISODE_LINE_BYTES + MAX_OTHER_BYTES,
      },
    );
    requireSuccess(command[0], result, options);
    return parseEpisodeLines(Buffer.from(result.output).toString('utf8'));
  };
}

function inheritedEnvironment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      (entry): entry is [string, string] => entry[1] !== undefined && !entry[0].startsWith('TENSORGUARD_'),
    ),
  );
}

function requireSuccess(
  program: string,
  { outcome, stderr }: CommandResult,
  { timeoutMs }: CommandEvaluatorOptions,
): void {
  if (outcome.kind === 'exited' && outcome.status === 0) return;
  const says = `It says: ${showableLine(stderr, [])}`;
  switch (outcome.kind) {
    case 'exited':
      throw new EnvironmentError(
        'evaluation.command-failed',
        `The evaluator ${program} ended with ${outcome.status}. ${says}. Nothing was judged.`,
      );
    case 'not-started':
      throw new EnvironmentError(
        'evaluation.command-failed',
        `The evaluator ${program} cannot be started: ${outcome.cause.message}.`,
        { cause: outcome.cause },
      );
    case 'timeout':
      throw new EnvironmentError(
        'evaluation.command-timeout',
        `The evaluator ${program} did not end within ${timeoutMs / 1000} s and was killed. ${says}. Allow it more time.`,
      );
    case 'too-much-output':
      throw new EnvironmentError(
        'evaluation.output-too-large',
        `The evaluator ${program} wrote more than the episodes it was asked for can take, and was killed. ${says}.`,
      );
  }
}
