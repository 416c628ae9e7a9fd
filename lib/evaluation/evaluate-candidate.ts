/** An evaluation from beginning to end: episodes, a look at them, more episodes where they do not decide. */
import { sameBytes } from '../custody/fields.js';
import { RefusedError } from '../errors.js';
import { adapterFingerprint } from '../package/messages/release.js';
import type { EvaluatorKind, WaivableMetricName } from '../package/messages/verdict.js';
import type { SafetyThresholds } from '../policy/profiles/safety.js';
import { measureAdapter } from '../round/release/adapter-files.js';
import { type Episode, MAX_SEED } from './episodes/episode.js';
import { type EpisodePair, pairEpisodes } from './episodes/pairs.js';
import type { Evaluator } from './evaluators/evaluator.js';
import { type Judgement, judge } from './gate/gate.js';
import { type LookPlan, planLooks, singleLook } from './gate/looks.js';

export interface ComparedAdapters {
  /** Directory of the adapter under test. */
  readonly candidate: string;
  /** Directory of the adapter that the fleet runs now. */
  readonly baseline: string;
}

export interface EvaluationRules {
  readonly safety: SafetyThresholds;
  readonly waived?: readonly WaivableMetricName[] | undefined;
}

export interface Evaluation extends Judgement {
  readonly evaluator: EvaluatorKind;
  /** Fingerprints of the adapters, 32 bytes each. */
  readonly candidate: Uint8Array;
  readonly baseline: Uint8Array;
  readonly confidence: number;
  readonly limitError: number;
  readonly looks: { readonly made: number; readonly planned: number };
  /** Episodes of each adapter. */
  readonly episodes: number;
  readonly firstSeed?: number | undefined;
}

export interface EvaluateOptions extends ComparedAdapters, EvaluationRules {
  readonly evaluator: Evaluator;
  /** What `evaluator` is, for the record. */
  readonly evaluatorKind: Exclude<EvaluatorKind, 'eval-info'>;
  /** Episodes of each adapter before the first look. */
  readonly firstEpisodes: number;
  /** Seeds count up from here. */
  readonly firstSeed: number;
  readonly onLook?: (look: {
    readonly made: number;
    readonly planned: number;
    readonly episodes: number;
  }) => void;
}

/**
 * Runs both adapters on the same seeds and judges them; as long as that is inconclusive, on as many again, up to
 * `safety.maxEpisodes`. What is then still inconclusive is for a human to decide.
 *
 * @throws RefusedError `evaluation.same-adapter`, `evaluation.adapter-changed`
 * @throws ParameterError `evaluation.episode-limit`; FormatError, EnvironmentError `evaluation.*`, `adapter.*`
 */
export async function evaluateCandidate(options: EvaluateOptions): Promise<Evaluation> {
  const { safety, firstSeed, evaluator } = options;
  const plan = planLooks(
    options.firstEpisodes,
    Math.min(safety.maxEpisodes, MAX_SEED + 1 - firstSeed),
    safety.confidence,
  );
  const adapters = await fingerprints(options);
  const pairs: EpisodePair[] = [];
  let judgement: Judgement | undefined;
  let made = 0;
  for (const episodes of plan.episodes) {
    made += 1;
    options.onLook?.({ made, planned: plan.episodes.length, episodes });
    const seeds = Array.from({ length: episodes - pairs.length }, (_, i) => firstSeed + pairs.length + i);
    const results = await evaluator({ candidate: options.candidate, baseline: options.baseline, seeds });
    pairs.push(...pairEpisodes(results, seeds));
    judgement = judge(pairs, rulesFor(options, plan));
    if (judgement.outcome !== 'inconclusive') break;
  }
  await requireUnchanged(options, adapters);
  return {
    ...(judgement as Judgement),
    ...adapters,
    ...summary(options, plan, made, pairs.length),
    evaluator: options.evaluatorKind,
    firstSeed,
  };
}

/**
 * Judges episodes that were run elsewhere, once. That they are of these two adapters is the caller's word.
 *
 * @throws RefusedError `evaluation.same-adapter`; FormatError `evaluation.*`; EnvironmentError `adapter.*`
 */
export async function evaluateEpisodes(
  episodes: readonly Episode[],
  options: ComparedAdapters & EvaluationRules,
): Promise<Evaluation> {
  const adapters = await fingerprints(options);
  const pairs = pairEpisodes(episodes);
  const plan = singleLook(pairs.length, options.safety.confidence);
  return {
    ...judge(pairs, rulesFor(options, plan)),
    ...adapters,
    ...summary(options, plan, 1, pairs.length),
    evaluator: 'eval-info',
  };
}

function rulesFor({ safety, waived }: EvaluationRules, { limitError }: LookPlan) {
  return { safety, limitError, ...(waived !== undefined && { waived }) };
}

function summary({ safety }: EvaluationRules, plan: LookPlan, made: number, episodes: number) {
  return {
    confidence: safety.confidence,
    limitError: plan.limitError,
    looks: { made, planned: plan.episodes.length },
    episodes,
  };
}

type Fingerprints = Pick<Evaluation, 'candidate' | 'baseline'>;

async function fingerprints(adapters: ComparedAdapters): Promise<Fingerprints> {
  const candidate = adapterFingerprint(await measureAdapter(adapters.candidate));
  const baseline = adapterFingerprint(await measureAdapter(adapters.baseline));
  if (sameBytes(candidate, baseline)) {
    throw new RefusedError(
      'evaluation.same-adapter',
      `${adapters.candidate} and ${adapters.baseline} are the same adapter: held against itself, nothing regresses. ` +
        'Give the adapter that the fleet runs now as the baseline.',
    );
  }
  return { candidate, baseline };
}

/** The verdict names what is there now; what was run may have been something else. */
async function requireUnchanged(adapters: ComparedAdapters, before: Fingerprints): Promise<void> {
  const now = await fingerprints(adapters);
  if (sameBytes(now.candidate, before.candidate) && sameBytes(now.baseline, before.baseline)) return;
  throw new RefusedError(
    'evaluation.adapter-changed',
    'An adapter was changed while it was evaluated. There is no verdict: leave both alone, and evaluate again.',
  );
}
