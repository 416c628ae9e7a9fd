/** The step under watch: its analyses, its silence, and whether it is done. */
import { type AnalysisResult, analyse } from './analysis.js';
import { analysisIntervalMs, milliseconds, withTimer } from './clock.js';
import { alertOf, andThen, type Transition, unchanged } from './effects.js';
import { NO_EVIDENCE, poolEvidence } from './evidence.js';
import { respondTo } from './rolling-back.js';
import { isRunning, type RolloutState, type StepProgress, stepMembers, watchedStep } from './state.js';
import { leaveStep, pauseFor, withoutWindows } from './stepping.js';

/** The analysis of what has come in since the last one that concluded something; undefined where no step is watched. */
export function currentAnalysis(state: RolloutState): AnalysisResult | undefined {
  const watched = watchedStep(state);
  if (watched === undefined) return undefined;
  const windows = stepMembers(state).map(({ window }) => window ?? NO_EVIDENCE);
  return analyse(watched.step.analysis, poolEvidence(windows));
}

/**
 * How many of the step's clients reported lately, and how many must. A robot that crashed reports no failure: who is silent
 * is no evidence for the release.
 */
export function reportingClients(state: RolloutState): {
  readonly reporting: number;
  readonly required: number;
} {
  const watched = watchedStep(state);
  if (watched === undefined) return { reporting: 0, required: 0 };
  const { telemetryTimeoutSeconds, minimumReportingPercent } = watched.step.analysis;
  const sinceMs = state.clock.observedMs - milliseconds(telemetryTimeoutSeconds);
  const members = stepMembers(state);
  const reporting = members.filter(
    ({ telemetryMs }) => telemetryMs !== undefined && telemetryMs > sinceMs,
  ).length;
  return { reporting, required: Math.max(1, Math.ceil((minimumReportingPercent * members.length) / 100)) };
}

/** Whether too few clients have reported for as long as the plan allows. */
export function isSilent(state: RolloutState): boolean {
  const watched = watchedStep(state);
  if (watched === undefined) return false;
  const patienceMs = milliseconds(watched.step.analysis.telemetryTimeoutSeconds);
  if (state.clock.observedMs - watched.progress.silenceFromMs < patienceMs) return false;
  const { reporting, required } = reportingClients(state);
  return reporting < required;
}

function minimumDurationIsOver(state: RolloutState): boolean {
  const watched = watchedStep(state);
  if (watched === undefined) return false;
  const { step, progress } = watched;
  return state.clock.observedMs - progress.enteredMs >= milliseconds(step.minimumDurationSeconds);
}

function withProgress(state: RolloutState, changes: Partial<StepProgress>): RolloutState {
  return state.step === undefined ? state : { ...state, step: { ...state.step, ...changes } };
}

function analyseIfDue(state: RolloutState): Transition {
  const watched = watchedStep(state);
  const result = currentAnalysis(state);
  if (watched === undefined || result === undefined) return unchanged(state);
  if (state.clock.observedMs < watched.progress.nextAnalysisMs) return unchanged(state);
  const looked = withProgress(state, { nextAnalysisMs: state.clock.observedMs + analysisIntervalMs(state) });
  switch (result.outcome) {
    case 'passed':
      return unchanged(
        withProgress(withoutWindows(looked), { conclusion: 'passed', inconclusives: 0, breached: false }),
      );
    case 'failed':
      return countFailure(looked, watched.progress, watched.step.analysis.failureLimit, result);
    case 'inconclusive':
      return countInconclusive(looked, watched.progress, watched.step.analysis.inconclusiveLimit);
  }
}

/** Each failure needs telemetry of its own: one bad hour is counted once. */
function countFailure(
  state: RolloutState,
  { index, failures, breached }: StepProgress,
  failureLimit: number,
  result: AnalysisResult,
): Transition {
  const isBreach = failures + 1 > failureLimit;
  const counted = withProgress(withoutWindows(state), {
    conclusion: 'failed',
    failures: failures + 1,
    breached: breached || isBreach,
  });
  const failed: Transition = {
    state: counted,
    effects: [alertOf({ code: 'analysis-failed', step: index, result })],
  };
  return isBreach ? andThen(failed, (next) => respondTo(next, 'breach')) : failed;
}

/** Before the minimum duration is over, more telemetry is on its way, and it is early to ask anybody. */
function countInconclusive(
  state: RolloutState,
  progress: StepProgress,
  inconclusiveLimit: number,
): Transition {
  if (!isRunning(state.phase) || !minimumDurationIsOver(state)) return unchanged(state);
  const inconclusives = progress.inconclusives + 1;
  const counted = withProgress(state, { inconclusives });
  return inconclusives > inconclusiveLimit ? pauseFor(counted, 'inconclusive') : unchanged(counted);
}

function leaveIfDone(state: RolloutState): Transition {
  const { step, phase, verdict } = state;
  if (step === undefined || !isRunning(phase)) return unchanged(state);
  const { reporting, required } = reportingClients(state);
  const done =
    verdict?.outcome === 'passed' &&
    step.conclusion === 'passed' &&
    minimumDurationIsOver(state) &&
    reporting >= required;
  return done ? leaveStep(state, step.index) : unchanged(state);
}

/** The step at a time event. A pause stops what comes next, not what is watched. */
export function watchStep(state: RolloutState): Transition {
  if (watchedStep(state) === undefined) return unchanged(state);
  const analysed = andThen(analyseIfDue(state), (next) =>
    isSilent(next) ? respondTo(next, 'missing-telemetry') : unchanged(next),
  );
  const watched = andThen(analysed, leaveIfDone);
  const timerIsSet = watched.effects.some(({ type }) => type === 'set-timer');
  return timerIsSet ? watched : withTimer(watched);
}
