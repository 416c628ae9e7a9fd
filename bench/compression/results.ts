/** Everything that is measured for docs/compression.md, from one seed. */
import { FEEDBACK_VARIANTS, type FeedbackRun, measureFeedback } from './feedback.js';
import { type LargeAdapterRow, planLargeAdapterCases } from './large-adapter.js';
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
const FEEDBACK_SPANS = 6;

/** At a hundredth it takes hundreds of rounds: one layer's pair of factors must do. */
function onePair(tensors: readonly SubjectTensor[]): SubjectTensor[] {
  const b = tensors.find(({ name }) => name.endsWith('.lora_B.weight'));
  const a = tensors.find(({ name }) => name === b?.name.replace('.lora_B.', '.lora_A.'));
  return a === undefined || b === undefined ? [...tensors] : [a, b];
}

interface FeedbackCase {
  readonly keepRatio: number;
  readonly bits: number;
  readonly tensors: readonly SubjectTensor[];
}

function feedbackCases({ tensors }: Subject): FeedbackCase[] {
  return [
    { keepRatio: 0.5, bits: 8, tensors },
    { keepRatio: 0.1, bits: 8, tensors },
    { keepRatio: 0.1, bits: 4, tensors },
    { keepRatio: 0.01, bits: 8, tensors: onePair(tensors) },
  ];
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
  const feedback: FeedbackResult[] = [];
  for (const { keepRatio, bits, tensors } of feedbackCases(subject)) {
    const rounds = Math.round(FEEDBACK_SPANS / keepRatio);
    onProgress(
      `Error feedback: ${subject.name}, keep ${keepRatio}, ${bits} bits, ${rounds} rounds, ${FEEDBACK_VARIANTS.length} variants`,
    );
    const runs = await measureFeedback({
      tensors,
      keepRatio,
      bits,
      clients: FEEDBACK_CLIENTS,
      rounds,
      seed,
    });
    feedback.push({ keepRatio, bits, parameters: parameterCount({ tensors }), rounds, runs });
  }
  onProgress('Plans of OpenVLA-7B and of private rounds');
  return {
    seed,
    repetitions,
    subjects: measured,
    feedbackSubject: subject.name,
    feedback,
    large: planLargeAdapterCases(seed),
    privateRounds: planPrivateRounds(),
  };
}
