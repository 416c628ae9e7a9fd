/**
 * `eval_info.json`, as LeRobot's evaluation script writes it, in both of its forms: `per_episode` with a seed each (one
 * environment; older releases), and `per_task` with lists (`lerobot-eval`). In the second no seed is written down: episode i
 * of a task ran with the evaluation's seed plus i.
 */
import { z } from 'zod';
import { openRegularFile } from '../../adapter/regular-file.js';
import { FormatError } from '../../errors.js';
import { type AdapterRole, type Episode, episodeSchema, MAX_SEED } from './episode.js';

const MAX_FILE_BYTES = 64 << 20;
const MAX_EPISODES = 1_000_000;

const stepsSchema = z.int().min(0);

/** Only what is read of it: other fields come and go with LeRobot's releases. */
const perEpisodeSchema = z.object({
  per_episode: z
    .array(
      z.object({
        success: z.boolean(),
        seed: z.int().min(0).max(MAX_SEED).nullish(),
        violation_steps: stepsSchema.optional(),
      }),
    )
    .min(1)
    .max(MAX_EPISODES),
});

const perTaskSchema = z.object({
  per_task: z
    .array(
      z.object({
        task_group: z.string().max(256),
        task_id: z.union([z.int(), z.string().max(256)]),
        metrics: z.object({
          successes: z.array(z.boolean()).max(MAX_EPISODES),
          violation_steps: z.array(stepsSchema).max(MAX_EPISODES).optional(),
        }),
      }),
    )
    .min(1)
    .max(MAX_EPISODES),
});

export interface EvalInfoOptions {
  readonly adapter: AdapterRole;
  readonly outOfDistribution: boolean;
  /** LeRobot's `seed`, where the file does not say it: that of the first episode of each task. */
  readonly firstSeed?: number | undefined;
}

interface NamedOutcome {
  readonly task?: string;
  readonly seed: number | undefined;
  readonly success: boolean;
  readonly violationSteps: number | undefined;
}

/**
 * The episodes of one file. Constraint violations are the steps with one, where the environment reports a cost; everything else
 * that LeRobot does not measure is absent.
 *
 * @throws FormatError `evaluation.bad-eval-info`; EnvironmentError `adapter.file-missing`, `adapter.file-unreadable`
 */
export async function readEvalInfo(path: string, options: EvalInfoOptions): Promise<Episode[]> {
  const document = await readJson(path);
  return outcomesIn(document, path, options.firstSeed).map(({ task, seed, success, violationSteps }) => {
    const checked = episodeSchema.safeParse({
      seed,
      adapter: options.adapter,
      success,
      outOfDistribution: options.outOfDistribution,
      ...(violationSteps !== undefined && { constraintViolations: violationSteps }),
    });
    if (!checked.success) {
      throw bad(
        path,
        'it does not say which seeds were used; tell the first one, which LeRobot calls `seed`',
      );
    }
    // The same task and seed inside and outside of the distribution are two different episodes.
    const name = options.outOfDistribution ? `${task ?? 'all'} (out of distribution)` : task;
    return { ...checked.data, ...(name !== undefined && { task: name }) };
  });
}

function outcomesIn(document: unknown, path: string, firstSeed: number | undefined): NamedOutcome[] {
  const perEpisode = perEpisodeSchema.safeParse(document);
  if (perEpisode.success) {
    return perEpisode.data.per_episode.map(({ success, seed, violation_steps: violationSteps }, i) => ({
      seed: seed ?? seedAt(firstSeed, i),
      success,
      violationSteps,
    }));
  }
  const perTask = perTaskSchema.safeParse(document);
  if (!perTask.success) {
    const [issue] = (isPerEpisode(document) ? perEpisode : perTask).error.issues;
    throw bad(path, `${issue?.path.join('.') || 'the file'}: ${issue?.message}`);
  }
  return perTask.data.per_task.flatMap(({ task_group: group, task_id: id, metrics }) => {
    const { successes, violation_steps: violationSteps } = metrics;
    if (violationSteps !== undefined && violationSteps.length !== successes.length) {
      throw bad(
        path,
        `task ${group}/${id} has ${successes.length} episodes and ${violationSteps.length} violation counts`,
      );
    }
    return successes.map((success, i) => ({
      task: `${group}/${id}`,
      seed: seedAt(firstSeed, i),
      success,
      violationSteps: violationSteps?.[i],
    }));
  });
}

function isPerEpisode(document: unknown): boolean {
  return typeof document === 'object' && document !== null && 'per_episode' in document;
}

function seedAt(firstSeed: number | undefined, index: number): number | undefined {
  return firstSeed === undefined ? undefined : firstSeed + index;
}

async function readJson(path: string): Promise<unknown> {
  const { file, sizeBytes } = await openRegularFile(path);
  try {
    if (sizeBytes > MAX_FILE_BYTES)
      throw bad(path, `it has ${sizeBytes} bytes, and the limit is ${MAX_FILE_BYTES}`);
    return JSON.parse(await file.readFile('utf8')) as unknown;
  } catch (error) {
    // Python writes NaN, which is no JSON, for the mean of nothing.
    if (error instanceof SyntaxError) throw bad(path, `it is not JSON (${error.message})`);
    throw error;
  } finally {
    await file.close();
  }
}

function bad(path: string, why: string): FormatError {
  return new FormatError(
    'evaluation.bad-eval-info',
    `${path} is not an eval_info.json that can be read: ${why}. Give the file that lerobot-eval wrote.`,
  );
}
