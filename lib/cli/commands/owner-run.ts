import { type Command, Option } from 'commander';
import type { GateOptions } from '../../agents/owner/gate.js';
import { runOwner } from '../../agents/run-roles.js';
import { MAX_SEED } from '../../evaluation/episodes/episode.js';
import { commandEvaluator } from '../../evaluation/evaluators/command-evaluator.js';
import { moduleEvaluator } from '../../evaluation/evaluators/module-evaluator.js';
import { PARAMETER_SET_NAMES, type ParameterSetName } from '../../lwe/parameters.js';
import { WAIVABLE_METRICS, type WaivableMetricName } from '../../package/messages/verdict.js';
import { type AgentCommandOptions, agentOptions, runUntilStopped } from '../agent-options.js';
import { commandOption } from '../evaluator-options.js';
import { integerOption } from '../options.js';

interface OwnerRunOptions extends AgentCommandOptions {
  readonly owner: string;
  readonly coordinator: string;
  readonly policyName: string;
  readonly outDir: string;
  readonly like?: string;
  readonly base?: string;
  readonly verify: boolean;
  readonly release: 'auto' | 'manual';
  readonly evaluatorCommand?: [string, ...string[]];
  readonly evaluatorModule?: string;
  readonly baseline?: string;
  readonly episodes?: number;
  readonly seedsFrom?: number;
  readonly evaluatorTimeout: number;
  readonly allowUnmeasured?: WaivableMetricName[];
  readonly params?: ParameterSetName;
  readonly deadlineMinutes?: number;
  readonly maxClients?: number;
  readonly endEpochs: boolean;
}

/** undefined where there is no evaluator: then somebody evaluates, and starts rollouts, by hand. */
function gateOf(options: OwnerRunOptions): GateOptions | undefined {
  const { evaluatorCommand, evaluatorModule, baseline, episodes, seedsFrom, allowUnmeasured } = options;
  const limits = { timeoutMs: options.evaluatorTimeout * 1000 };
  const rules = { baseline, firstEpisodes: episodes, firstSeed: seedsFrom, waived: allowUnmeasured };
  if (evaluatorCommand !== undefined) {
    return { ...rules, evaluator: commandEvaluator(evaluatorCommand, limits), evaluatorKind: 'command' };
  }
  if (evaluatorModule === undefined) return undefined;
  return { ...rules, evaluator: moduleEvaluator(evaluatorModule, limits), evaluatorKind: 'module' };
}

export function ownerRunCommand(command: Command): Command {
  return agentOptions(command)
    .description('plan rounds, open and close them, publish roster and releases; until it is stopped')
    .requiredOption('--owner <dir>', "the owner's directory")
    .requiredOption('--coordinator <dir>', "the coordinator's directory")
    .requiredOption('--policy-name <name>', 'the policy whose rounds are run')
    .requiredOption('--out-dir <dir>', "each round's average is written below it")
    .option('--like <adapter>', 'an adapter like those that robots send, to plan the first rounds by')
    .option('--base <adapter>', 'what robots train from before there is a release')
    .option('--verify', 'recompute every sum from the signed updates', false)
    .addOption(
      new Option('--release <how>', 'auto: release every average at once; manual: wait for "release create"')
        .choices(['auto', 'manual'])
        .default('manual'),
    )
    .addOption(
      new Option(
        '--evaluator-command <json>',
        'evaluate each average with this program, a JSON array; release what passes, and start its rollout',
      )
        .argParser(commandOption)
        .conflicts('evaluatorModule'),
    )
    .option('--evaluator-module <file>', 'the same with an ES module, whose default export runs episodes')
    .option('--baseline <adapter>', 'what the first average is evaluated against (default: --base)')
    .option('--episodes <n>', 'episodes of each adapter before the first look', integerOption(1, 1_000_000))
    .option('--seeds-from <n>', 'the first seed (default: 0)', integerOption(0, MAX_SEED))
    .option(
      '--evaluator-timeout <seconds>',
      'for one run of the evaluator',
      integerOption(1, 7 * 86_400),
      3600,
    )
    .addOption(
      new Option('--allow-unmeasured <metrics...>', 'metrics that may stay unmeasured').choices([
        ...WAIVABLE_METRICS,
      ]),
    )
    .addOption(
      new Option('--params <name>', "parameter set (default: the roster's first)").choices([
        ...PARAMETER_SET_NAMES,
      ]),
    )
    .option(
      '--deadline-minutes <m>',
      "how long clients may seal (default: the envelope's interval)",
      integerOption(1, 525_600),
    )
    .option(
      '--max-clients <n>',
      'clients in a sum at most (default: all that are active)',
      integerOption(2, 65_536),
    )
    .option(
      '--no-end-epochs',
      'leave it to "fleet enroll" to say when custodians\' keys of an epoch are destroyed',
    )
    .action((options: OwnerRunOptions) =>
      runUntilStopped(options, 'owner', (run) =>
        runOwner(run, {
          ownerDirectory: options.owner,
          coordinatorDirectory: options.coordinator,
          policyName: options.policyName,
          outDirectory: options.outDir,
          like: options.like,
          base: options.base,
          verify: options.verify,
          release: options.release,
          gate: gateOf(options),
          parameterSet: options.params,
          deadlineMs: options.deadlineMinutes && options.deadlineMinutes * 60_000,
          maxClients: options.maxClients,
          endEpochs: options.endEpochs,
        }),
      ),
    );
}
