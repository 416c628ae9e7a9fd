/** Everything that is measured for docs/compression.md, from one seed. */
import { type FeedbackRun, type FeedbackVariant, measureFeedback } from './feedback.js';
import { type LargeAdapterRow, planLargeAdapterCases } from './large-adapter.js';
import { threeDigits } from './markdown.js';
import { type PrivateRow, planPrivateRounds } from './private-rounds.js';
import { measureSizeAndError, type SizeAndError } from './size-and-error.js';
import { densitySpread, loadSubjects, parameterCount, type Subject, type SubjectTensor } from './subjects.js';

export interface SubjectResult {
  readonly name: string;
  readonly origin: string;
  readonly parameters: number;
  readonly tensorCount: number;
  /** {@link densitySpread}. */
  readonly densitySpread: number;
  readonly rows: readonly SizeAndError[];
}

export interface FeedbackResult {
  readonly keepRatio: number;
  readonly bits: number;
  readonly parameters: number;
  readonly rounds: number;
  readonly runs: readonly FeedbackRun[];
}

export interface CompressionResults {
  readonly seed: string;
  readonly repetitions: number;
  readonly subjects: readonly SubjectResult[];
  /** Whose tensors error feedback was run on. */
  readonly feedbackSubject: string;
  readonly feedback: readonly FeedbackResult[];
  /** What fits the large adapter's limit at each least width, run on a small one: updates of one size. */
  readonly sameSize: readonly FeedbackResult[];
  readonly large: readonly LargeAdapterRow[];
  readonly privateRounds: readonly PrivateRow[];
}

export interface MeasureRequest {
  readonly adapters: string;
  readonly seed: string;
  readonly repetitions: number;
  readonly onProgress: (line: string) => void;
}

export const FEEDBACK_CLIENTS = 4;
/** Rounds, in mean rounds until a coordinate is sent. */
const FEEDBACK_SPANS = 5;
/** Five times what a coordinate waits at the least of the ratios. */
const SAME_SIZE_ROUNDS = 240;

/** At a hundredth it takes hundreds of rounds: one layer's pair of factors must do. */
function onePair(tensors: readonly SubjectTensor[]): SubjectTensor[] {
  const b = tensors.find(({ name }) => name.endsWith('.lora_B.weight'));
  const a = tensors.find(({ name }) => name === b?.name.replace('.lora_B.', '.lora_A.'));
  return a === undefined || b === undefined ? [...tensors] : [a, b];
}

interface FeedbackCase {
  readonly keepRatio: number;
  readonly bits: number;
  readonly rounds: number;
  readonly tensors: readonly SubjectTensor[];
  readonly variants?: readonly FeedbackVariant[];
}

function feedbackCases({ tensors }: Subject): FeedbackCase[] {
  return [
    { keepRatio: 0.5, tensors },
    { keepRatio: 0.1, tensors },
    { keepRatio: 0.01, tensors: onePair(tensors) },
  ].map((entry) => ({ ...entry, bits: 8, rounds: Math.round(FEEDBACK_SPANS / entry.keepRatio) }));
}

/** As many rounds for all: what counts is what has arrived after the same bytes. */
function sameSizeCases({ tensors }: Subject, large: readonly LargeAdapterRow[]): FeedbackCase[] {
  return large
    .filter(({ asked, energySpread }) => asked === 'auto' && energySpread === 0)
    .map(({ keepRatio, usedBits }) => ({
      keepRatio,
      bits: usedBits.min,
      rounds: SAME_SIZE_ROUNDS,
      tensors: onePair(tensors),
      variants: ['recommended clip'],
    }));
}

async function runFeedback(entry: FeedbackCase, request: MeasureRequest): Promise<FeedbackResult> {
  const { keepRatio, bits, rounds, tensors } = entry;
  request.onProgress(`Error feedback: keep ${threeDigits(keepRatio)}, ${bits} bits, ${rounds} rounds`);
  const runs = await measureFeedback({ ...entry, clients: FEEDBACK_CLIENTS, seed: request.seed });
  return { keepRatio, bits, rounds, runs, parameters: parameterCount({ tensors }) };
}

export async function measureCompression(request: MeasureRequest): Promise<CompressionResults> {
  const { adapters, seed, repetitions, onProgress } = request;
  const subjects = await loadSubjects(adapters, seed);
  const measured: SubjectResult[] = [];
  for (const subject of subjects) {
    onProgress(`Size and error: ${subject.name} (${subject.origin})`);
    measured.push({
      name: subject.name,
      origin: subject.origin,
      parameters: parameterCount(subject),
      tensorCount: subject.tensors.length,
      densitySpread: densitySpread(subject),
      rows: await measureSizeAndError(subject, { seed, repetitions }),
    });
  }
  const [subject] = subjects as [Subject, ...Subject[]];
  const large = planLargeAdapterCases(seed);
  const feedback: FeedbackResult[] = [];
  for (const entry of feedbackCases(subject)) feedback.push(await runFeedback(entry, request));
  const sameSize: FeedbackResult[] = [];
  for (const entry of sameSizeCases(subject, large)) sameSize.push(await runFeedback(entry, request));
  return {
    seed,
    repetitions,
    subjects: measured,
    feedbackSubject: subject.name,
    feedback,
    sameSize,
    large,
    privateRounds: planPrivateRounds(),
  };
}
