/**
 * What trainers leave beside an adapter about how it was trained.
 *
 * Only what a file says is taken; what follows from nothing stays absent. Above all, the number of samples is
 * taken from the user's own file alone: weights are made of it, and no trainer writes it down. Hugging Face's
 * Trainer records the batch size of one device, but neither the number of devices nor the accumulation steps;
 * LeRobot multiplies steps, batch size and devices for its log, though the last batch of each epoch is
 * smaller. `training_args.bin` is a pickle, which runs code when it is read, and is not.
 *
 * Sources: huggingface/transformers, `trainer_callback.py` (`TrainerState`); huggingface/lerobot,
 * `common/train_utils.py` (the layout of a checkpoint, `training_step.json`), `configs/train.py`.
 */
import { lstat, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { EnvironmentError, FormatError, TensorGuardError } from '../errors.js';
import { JsonCursor, quoteName } from './json-cursor.js';
import { openRegularFile } from './regular-file.js';

const MAX_DOCUMENT_BYTES = 1024 * 1024;
/** `log_history` grows with training; this holds some 200,000 entries. */
const MAX_TRAINER_STATE_BYTES = 32 * 1024 * 1024;

const count = z
  .int()
  .min(0)
  .max(2 ** 40);
const nonNegative = z.number().min(0);
const hash = z
  .string()
  .regex(/^[0-9a-fA-F]{64}$/, 'must be 64 hexadecimal digits (a SHA-256)')
  .transform((digits) => new Uint8Array(Buffer.from(digits, 'hex')));

function line(maxLength: number) {
  return z
    .string()
    .min(1)
    .max(maxLength)
    .regex(/^[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}\ufeff]*$/u, 'must be one line of text without control characters');
}

/** The user's own file: the fields that an update's header has, with the same bounds; hashes in hexadecimal. */
const documentSchema = z.strictObject({
  training: z
    .strictObject({
      steps: count.optional(),
      learningRate: nonNegative.optional(),
      objective: z.enum(['il', 'offline_rl', 'ppo', 'sac', 'td3']).optional(),
      rewardVersion: line(64).optional(),
      samples: count.optional(),
      datasetHash: hash.optional(),
      demonstrations: count.optional(),
      durationMs: nonNegative.optional(),
    })
    .optional(),
  safety: z
    .strictObject({
      saturatedValues: count.optional(),
      constraintViolations: count.optional(),
      oodScore: z.number().optional(),
      klDivergence: z.number().optional(),
      gradientNormMean: nonNegative.optional(),
      gradientNormMax: nonNegative.optional(),
    })
    .optional(),
  experts: z.record(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/), nonNegative).optional(),
  compatibility: z
    .strictObject({
      robotModel: line(128).optional(),
      policyFamily: line(128).optional(),
      normalizationHash: hash.optional(),
    })
    .optional(),
});

const trainerStateSchema = z.looseObject({
  global_step: count.nullish(),
  log_history: z
    .array(z.looseObject({ learning_rate: nonNegative.nullish(), train_runtime: nonNegative.nullish() }))
    .nullish(),
});

const trainConfigSchema = z.looseObject({
  policy: z.looseObject({ type: line(128) }).nullish(),
  optimizer: z.looseObject({ lr: nonNegative.nullish() }).nullish(),
});

const trainingStepSchema = z.looseObject({ step: count });

type Document = z.infer<typeof documentSchema>;

export interface TrainingFacts extends Document {
  /** Where each field came from: its dotted name (`training.steps`; `experts` as a whole) and the file. */
  readonly sources: readonly { readonly field: string; readonly file: string }[];
  /** Files found beside the adapter that were not used, or not wholly, and why. */
  readonly warnings: readonly { readonly file: string; readonly message: string }[];
}

interface Finding {
  readonly file: string;
  readonly facts: Document;
}

/**
 * Reads the user's own file, where one is named, and what trainers left:
 *
 * - `trainer_state.json` in the directory: steps (`global_step`), the learning rate last logged, and the
 *   duration (`train_runtime`, of the last call of `train()`);
 * - LeRobot's `train_config.json` in the directory: policy family (`policy.type`), and the optimizer's learning
 *   rate as configured; where the directory is called `pretrained_model`, steps from
 *   `../training_state/training_step.json`. `steps` of the configuration is what was planned, and not taken.
 *
 * The user's file wins field by field. Fields about which found files disagree are left out, with a warning.
 *
 * @param directory of the adapter
 * @param trainingFile JSON with the members `training`, `safety`, `experts`, `compatibility`, all optional
 * @throws FormatError `training.malformed` for anything wrong with `trainingFile`, unknown fields included, by
 *   name; EnvironmentError `training.file-missing`, `training.file-unreadable`. Files that are merely found
 *   give warnings instead.
 */
export async function readTrainingMetadata(directory: string, trainingFile?: string): Promise<TrainingFacts> {
  const own = trainingFile === undefined ? undefined : await readOwnFile(trainingFile);
  const warnings: { file: string; message: string }[] = [];
  const found: Finding[] = [];
  for (const { file, read } of await trainerFiles(directory)) {
    try {
      const facts = await read(file);
      if (facts !== undefined) found.push({ file, facts });
    } catch (error) {
      if (!(error instanceof TensorGuardError)) throw error;
      warnings.push({ file, message: error.message });
    }
  }
  return merge(own, found, warnings);
}

async function readOwnFile(file: string): Promise<Finding> {
  const value = await readJson(file, MAX_DOCUMENT_BYTES);
  if (value === undefined) {
    throw new EnvironmentError('training.file-missing', `${file} does not exist. Name a JSON file.`);
  }
  return { file, facts: checked(documentSchema, value, file) };
}

interface TrainerFile {
  readonly file: string;
  readonly read: (file: string) => Promise<Document | undefined>;
}

async function trainerFiles(directory: string): Promise<TrainerFile[]> {
  const files: TrainerFile[] = [
    { file: join(directory, 'trainer_state.json'), read: readTrainerState },
    { file: join(directory, 'train_config.json'), read: readTrainConfig },
  ];
  // `checkpoints/last` is a link, and what lies above a directory is above the directory itself.
  const real = await realpath(directory).catch(() => undefined);
  if (real !== undefined && basename(real) === 'pretrained_model') {
    const state = join(dirname(real), 'training_state');
    const isDirectory = await lstat(state).then(
      (stat) => stat.isDirectory(),
      () => false,
    );
    if (isDirectory) files.push({ file: join(state, 'training_step.json'), read: readTrainingStep });
  }
  return files;
}

async function readTrainerState(file: string): Promise<Document | undefined> {
  const value = await readJson(file, MAX_TRAINER_STATE_BYTES);
  if (value === undefined) return undefined;
  const { global_step: steps, log_history: log } = checked(trainerStateSchema, value, file);
  const learningRate = log?.findLast((entry) => typeof entry.learning_rate === 'number')?.learning_rate;
  const seconds = log?.findLast((entry) => typeof entry.train_runtime === 'number')?.train_runtime;
  return {
    training: {
      steps: steps ?? undefined,
      learningRate: learningRate ?? undefined,
      durationMs: typeof seconds === 'number' ? Math.round(seconds * 1000) : undefined,
    },
  };
}

async function readTrainConfig(file: string): Promise<Document | undefined> {
  const value = await readJson(file, MAX_DOCUMENT_BYTES);
  if (value === undefined) return undefined;
  const { policy, optimizer } = checked(trainConfigSchema, value, file);
  return {
    training: { learningRate: optimizer?.lr ?? undefined },
    compatibility: { policyFamily: policy?.type },
  };
}

async function readTrainingStep(file: string): Promise<Document | undefined> {
  const value = await readJson(file, MAX_DOCUMENT_BYTES);
  if (value === undefined) return undefined;
  return { training: { steps: checked(trainingStepSchema, value, file).step } };
}

/** The fields that are there: a section's one by one, the experts as the one declaration that they are. */
function fieldsOf({ training, safety, experts, compatibility }: Document): [string, unknown][] {
  const sections = Object.entries({ training, safety, compatibility }).flatMap(([section, members]) =>
    Object.entries(members ?? {}).map(([name, value]): [string, unknown] => [`${section}.${name}`, value]),
  );
  return [...sections, ['experts', experts] as [string, unknown]].filter(([, value]) => value !== undefined);
}

function merge(
  own: Finding | undefined,
  found: readonly Finding[],
  warnings: { file: string; message: string }[],
): TrainingFacts {
  const chosen = new Map<string, { value: unknown; file: string }>();
  const disputed = new Set<string>();
  for (const { file, facts } of found) {
    for (const [field, value] of fieldsOf(facts)) {
      const other = chosen.get(field);
      if (other === undefined) chosen.set(field, { value, file });
      else if (other.value !== value) {
        disputed.add(field);
        warnings.push({
          file,
          message: `${file} says that ${field} is ${String(value)}, ${other.file} that it is ${String(other.value)}; neither is taken. Name the right one in a file of your own.`,
        });
      }
    }
  }
  for (const field of disputed) chosen.delete(field);
  for (const [field, value] of own === undefined ? [] : fieldsOf(own.facts)) {
    chosen.set(field, { value, file: (own as Finding).file });
  }
  const merged: Record<string, unknown> = {};
  for (const [field, { value }] of chosen) {
    const [section, name] = field.split('.') as [string, string | undefined];
    if (name === undefined) merged[section] = value;
    else merged[section] = { ...(merged[section] as object | undefined), [name]: value };
  }
  return {
    // Each value passed its schema under the name that it has here.
    ...(merged as Document),
    sources: [...chosen].map(([field, { file }]) => ({ field, file })),
    warnings,
  };
}

/** The value in a JSON file, or undefined where there is no file. Links are not followed. */
async function readJson(file: string, maxBytes: number): Promise<unknown> {
  const bytes = await readBounded(file, maxBytes);
  if (bytes === undefined) return undefined;
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new FormatError('training.malformed', `${file} is not UTF-8.`, { cause: error });
  }
  // JSON.parse would keep the last of two equal keys in silence.
  const cursor = new JsonCursor(text, (_problem, detail) => malformed(file, detail));
  cursor.skipValue();
  cursor.end();
  return JSON.parse(text);
}

async function readBounded(path: string, maxBytes: number): Promise<Buffer | undefined> {
  const named = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw unreadable(path, error);
  });
  if (named === undefined) return undefined;
  if (!named.isFile()) throw malformed(path, 'it is a link, a directory or a device, and no file');
  const { file, sizeBytes } = await openRegularFile(path).catch((error: unknown) => {
    throw unreadable(path, error as Error);
  });
  try {
    const opened = await file.stat();
    // Whoever can write beside the adapter may put a link there between the look and the opening.
    if (opened.ino !== named.ino || opened.dev !== named.dev)
      throw malformed(path, 'it was replaced just now');
    if (sizeBytes > maxBytes) {
      throw malformed(path, `it has ${sizeBytes} bytes, of which at most ${maxBytes} are read`);
    }
    const bytes = Buffer.alloc(sizeBytes);
    let filled = 0;
    for (let bytesRead = -1; filled < sizeBytes && bytesRead !== 0; filled += bytesRead) {
      ({ bytesRead } = await file.read(bytes, filled, sizeBytes - filled, filled));
    }
    return bytes.subarray(0, filled);
  } finally {
    await file.close();
  }
}

function checked<T>(schema: z.ZodType<T>, value: unknown, file: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.slice(0, 5).flatMap((issue) => {
    const at = issue.path.map(String);
    const name = (path: readonly string[]) => (path.length === 0 ? 'it' : quoteName(path.join('.')));
    if (issue.code !== 'unrecognized_keys') return [`${name(at)}: ${issue.message}`];
    return issue.keys.slice(0, 5).map((key) => `${name([...at, key])} is no field that is known here`);
  });
  throw malformed(file, problems.join('; '));
}

function malformed(file: string, problem: string): FormatError {
  return new FormatError('training.malformed', `${file} cannot be used: ${problem}.`);
}

function unreadable(file: string, cause: Error): EnvironmentError {
  return new EnvironmentError('training.file-unreadable', `${file} cannot be read: ${cause.message}`, {
    cause,
  });
}
