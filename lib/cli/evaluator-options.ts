/** Evaluators on the command line. */
import { InvalidArgumentError } from 'commander';
import { z } from 'zod';

const commandSchema = z
  .tuple([z.string().min(1)], z.string())
  .refine((parts) => parts.every((part) => !part.includes('\0')));

/** A program and its arguments, as a JSON array: no shell reads it. @throws InvalidArgumentError */
export function commandOption(text: string): [string, ...string[]] {
  try {
    return commandSchema.parse(JSON.parse(text));
  } catch {
    throw new InvalidArgumentError(
      'Give a JSON array of the program and its arguments: \'["python3", "evaluate.py"]\'.',
    );
  }
}
