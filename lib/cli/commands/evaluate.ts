import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { RefusedError, UsageError } from '../../errors.js';
import { type Episode, MAX_SEED } from '../../evaluation/episodes/episode.js';
import { readEvalInfo } from '../../evaluation/episodes/eval-info.js';
import { type Evaluation, evaluateCandidate, evaluateEpisodes } from '../../evaluation/evaluate-candidate.js';
import { commandEvaluator } from '../../evaluation/evaluators/command-evaluator.js';
import { moduleEvaluator } from '../../evaluation/evaluators/module-evaluator.js';
import { type IssuedVerdict, VerdictRecords } from '../../evaluation/verdict-records.js';
import { replaceFile } from '../../files.js';
import { adapterFingerprint } from '../../package/messages/release.js';
import { WAIVABLE_METRICS, type WaivableMetricName } from '../../package/messages/verdict.js';
import { policyFingerprints } from '../../policy/fingerprint.js';
import type { Policy } from '../../policy/policy.js';
import { openOwner } from '../../round/owner-directory.js';
import { measureAdapter, requireLoadable } from '../../round/release/adapter-files.js';
import { commandOption } from '../evaluator-options.js';
import { integerOption } from '../options.js';
import type { Output } from '../output.js';
import { type PolicyOptions, policyOptions, policyOverrides } from '../policy-options.js';

const DEFAULT_EPISODES = 100;
const DEFAULT_TIMEOUT_SECONDS = 3600;
const MAX_TIMEOUT_SECONDS = 7 * 86_400;

interface EvaluateCommandOptions extends PolicyOptions {
  readonly baseline: string;
  readonly owner: string;
  readonly evaluator?: [string, ...string[]];
  readonly module?: string;
  readonly evalInfo?: string[];
  readonly oodEvalInfo?: string[];
  readonly episodes?: number;
  readonly seedsFrom?: number;
  readonly timeout: number;
  readonly allowUnmeasured?: WaivableMetricName[];
  readonly replace?: boolean;
  readonly out: string;
}

/** Candidate's file and baseline's. */
async function episodesOf(
  files: readonly string[],
  option: string,
  outOfDistribution: boolean,
  firstSeed: number | undefined,
): Promise<Episode[]> {
  const [candidate, baseline, ...others] = files;
  if (candidate === undefined || baseline === undefined || others.length > 0) {
    throw new UsageError('usage.evaluator', `${option} takes two files: the candidate's and the baseline's.`);
  }
  return [
    ...(await readEvalInfo(candidate, { adapter: 'candidate', outOfDistribution, firstSeed })),
    ...(await readEvalInfo(baseline, { adapter: 'baseline', outOfDistribution, firstSeed })),
  ];
}

/** The one source of episodes that the options name. */
function requireOneSource({
  evaluator,
  module,
  evalInfo,
  oodEvalInfo,
  episodes,
}: EvaluateCommandOptions): void {
  const sources = [evaluator, module, evalInfo].filter((source) => source !== undefined);
  if (sources.length !== 1) {
    throw new UsageError('usage.evaluator', 'Give one of --evaluator, --module and --eval-info.');
  }
  if (evalInfo === undefined && oodEvalInfo !== undefined) {
    throw new UsageError('usage.evaluator', '--ood-eval-info goes with --eval-info.');
  }
  if (evalInfo !== undefined && episodes !== undefined) {
    throw new UsageError(
      'usage.evaluator',
      '--episodes is for an evaluator that runs them; files have what they have.',
    );
  }
}

async function runEvaluation(
  candidate: string,
  options: EvaluateCommandOptions,
  { safety }: Policy,
  output: Output,
): Promise<Evaluation> {
  const compared = { candidate: resolve(candidate), baseline: resolve(options.baseline) };
  const rules = { safety, waived: options.allowUnmeasured };
  const { evalInfo, oodEvalInfo, evaluator, module, seedsFrom } = options;
  if (evalInfo !== undefined) {
    const inside = await episodesOf(evalInfo, '--eval-info', false, seedsFrom);
    const outside =
      oodEvalInfo === undefined ? [] : await episodesOf(oodEvalInfo, '--ood-eval-info', true, seedsFrom);
    return evaluateEpisodes([...inside, ...outside], { ...compared, ...rules });
  }
  const limits = { timeoutMs: options.timeout * 1000 };
  return evaluateCandidate({
    ...compared,
    ...rules,
    evaluator:
      evaluator === undefined
        ? moduleEvaluator(module as string, limits)
        : commandEvaluator(evaluator, limits),
    evaluatorKind: evaluator === undefined ? 'module' : 'command',
    firstEpisodes: options.episodes ?? Math.min(DEFAULT_EPISODES, safety.maxEpisodes),
    firstSeed: seedsFrom ?? 0,
    onLook: ({ made, planned, episodes }) =>
      output.progress(`look ${made} of ${planned}: ${episodes} episodes`),
  });
}

function report({ body, fingerprint, kept }: IssuedVerdict, out: string, output: Output): void {
  const { looks } = body;
  const lines = [
    ...body.metrics.map((metric) => `${metric.outcome.padEnd(12)} ${metric.reason}`),
    `${body.episodes} episodes of each adapter, look ${looks.made} of ${looks.planned}; every limit is wrong with at most ${Number(body.limitError.toPrecision(3))}.`,
    `Wrote ${out}.`,
  ];
  if (body.outcome === 'passed') {
    output.result({ written: out, kept, fingerprint, ...body }, ['Passed.', ...lines]);
    return;
  }
  for (const line of lines) output.warn(line);
  throw new RefusedError(
    body.outcome === 'failed' ? 'evaluation.failed' : 'evaluation.inconclusive',
    body.outcome === 'failed'
      ? `The candidate fails: ${body.reasons.join('; ')}. Do not release it.`
      : `The episodes do not decide: ${body.reasons.join('; ')}. Have a human look at it, measure what is missing, or allow more ` +
          'episodes (safety.maxEpisodes) and evaluate again with --replace.',
  );
}

export function evaluateCommand(command: Command, output: () => Output): Command {
  return policyOptions(command)
    .description('measure a candidate against the adapter that the fleet runs, and sign the verdict')
    .argument('<candidate>', 'the adapter directory to evaluate')
    .requiredOption('--baseline <adapter>', 'the adapter directory that the fleet runs now')
    .requiredOption('--owner <dir>', "the owner's directory")
    .option(
      '--evaluator <json>',
      'the program that runs episodes, as a JSON array with its arguments',
      commandOption,
    )
    .option('--module <file>', 'the ES module whose default export runs episodes')
    .option('--eval-info <files...>', "eval_info.json of LeRobot: the candidate's and the baseline's")
    .option('--ood-eval-info <files...>', 'the same two, of tasks outside of the training distribution')
    .option(
      '--episodes <n>',
      `episodes of each adapter before the first look (default: ${DEFAULT_EPISODES})`,
      integerOption(1, 1_000_000),
    )
    .option('--seeds-from <n>', 'the first seed (default: 0)', integerOption(0, MAX_SEED))
    .option(
      '--timeout <seconds>',
      'for one run of the evaluator',
      integerOption(1, MAX_TIMEOUT_SECONDS),
      DEFAULT_TIMEOUT_SECONDS,
    )
    .addOption(
      new Option(
        '--allow-unmeasured <metrics...>',
        'metrics that may stay unmeasured; the verdict says so',
      ).choices([...WAIVABLE_METRICS]),
    )
    .option('--replace', 'evaluate again an adapter that has a verdict; the new one says so')
    .requiredOption('--out <file>', 'the verdict to write (.tgv)')
    .action(async (candidate: string, options: EvaluateCommandOptions) => {
      requireOneSource(options);
      const out = output();
      const { owner, role } = await openOwner(options.owner, {
        file: options.policy,
        overrides: policyOverrides(options),
      });
      try {
        const records = new VerdictRecords(options.owner);
        const { peftTypes } = owner.policy.envelope;
        await requireLoadable(candidate, { peftTypes, readValues: true });
        // Asked first: an evaluation may take hours.
        await records.requireReplaceable(adapterFingerprint(await measureAdapter(candidate)), {
          roster: role.roster,
          replace: options.replace,
        });
        const evaluation = await runEvaluation(candidate, options, owner.policy, out);
        const verdict = await records.issue({
          signing: owner.signing,
          roster: role.roster,
          evaluation,
          safety: policyFingerprints(owner.policy).sections.safety,
          replace: options.replace,
        });
        await replaceFile(options.out, verdict.file);
        report(verdict, options.out, out);
      } finally {
        role.close();
      }
    });
}
