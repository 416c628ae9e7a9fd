/** What runs episodes: a command, a module, or a function of the caller's. */
import { z } from 'zod';
import { FormatError } from '../../errors.js';
import { type Episode, episodeSchema } from '../episodes/episode.js';

export interface EvaluationRequest {
  /** Directory of the adapter under test. */
  readonly candidate: string;
  /** Directory of the adapter that it is held against. */
  readonly baseline: string;
  /** Each adapter runs each of them once. The seed alone decides what the episode is. */
  readonly seeds: readonly number[];
}

/** Returns two episodes a seed, one of each adapter, in any order. */
export type Evaluator = (request: EvaluationRequest) => Promise<readonly Episode[]>;

export const REQUEST_FORMAT = 'tensorguard-native evaluation request';

/** The one JSON document that a command finds on its stdin. */
export function requestDocument(request: EvaluationRequest): string {
  const { candidate, baseline, seeds } = request;
  return `${JSON.stringify({ format: REQUEST_FORMAT, version: 1, candidate, baseline, seeds })}\n`;
}

export const requestSchema = z.object({
  candidate: z.string(),
  baseline: z.string(),
  seeds: z.array(z.int()),
});

/**
 * Episodes from JSON lines. Empty lines are skipped.
 *
 * @throws FormatError `evaluation.malformed-result`
 */
export function parseEpisodeLines(text: string): Episode[] {
  return text
    .split('\n')
    .flatMap((line, i) => (line.trim() === '' ? [] : [parseEpisode(line, `line ${i + 1}`)]));
}

function parseEpisode(line: string, where: string): Episode {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw malformed(
      where,
      'it is no JSON. Results go to stdout, one JSON object a line; print everything else to stderr',
    );
  }
  return checkEpisode(value, where);
}

/** @throws FormatError `evaluation.malformed-result` */
export function checkEpisode(value: unknown, where: string): Episode {
  const parsed = episodeSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw malformed(
    where,
    `${issue?.path.join('.') || 'the result'}: ${issue?.message}. Leave out what is not known`,
  );
}

function malformed(where: string, why: string): FormatError {
  return new FormatError('evaluation.malformed-result', `${where} of the evaluator's results: ${why}.`);
}
