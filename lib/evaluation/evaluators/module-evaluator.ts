/** Episodes from an ES module's default export, in a process of its own: the limits of a command hold for it too. */
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type CommandEvaluatorOptions, commandEvaluator } from './command-evaluator.js';
import type { Evaluator } from './evaluator.js';

const RUNNER = fileURLToPath(new URL('./module-runner.js', import.meta.url));

/**
 * The module's default export is a function of an `EvaluationRequest` that returns episodes: an array, an iterable, an
 * asynchronous one, or a promise of these.
 *
 * The evaluator throws as {@link commandEvaluator}'s.
 */
export function moduleEvaluator(file: string, options: CommandEvaluatorOptions): Evaluator {
  return commandEvaluator([process.execPath, RUNNER, resolve(file)], options);
}
