import { type Command, Option } from 'commander';
import { runOwner } from '../../agents/run-roles.js';
import { PARAMETER_SET_NAMES, type ParameterSetName } from '../../lwe/parameters.js';
import { type AgentCommandOptions, agentOptions, runUntilStopped } from '../agent-options.js';
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
  readonly params?: ParameterSetName;
  readonly deadlineMinutes?: number;
  readonly maxClients?: number;
  readonly endEpochs: boolean;
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
          parameterSet: options.params,
          deadlineMs: options.deadlineMinutes && options.deadlineMinutes * 60_000,
          maxClients: options.maxClients,
          endEpochs: options.endEpochs,
        }),
      ),
    );
}
