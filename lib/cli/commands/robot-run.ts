import type { Command } from 'commander';
import { runRobot } from '../../agents/run-roles.js';
import { type AgentCommandOptions, agentOptions, runUntilStopped } from '../agent-options.js';
import { integerOption } from '../options.js';

interface RobotRunOptions extends AgentCommandOptions {
  readonly client: string;
  readonly adapter: string;
  readonly base?: string;
  readonly training?: string;
  readonly releaseDir?: string;
  readonly telemetry?: string;
  readonly policyName?: string;
  readonly privacyLedger?: string;
  readonly gatewayUpdates?: string;
  readonly quietSeconds: number;
}

export function robotRunCommand(command: Command): Command {
  return agentOptions(command)
    .description('run beside the trainer: seal what it writes, send it, fetch releases; until it is stopped')
    .requiredOption('--client <dir>', "this client's directory")
    .requiredOption('--adapter <dir>', 'where the trainer writes its adapter')
    .option('--base <adapter>', 'what training starts from until there is a release')
    .option('--training <file>', 'what is known of the training (.json); goes into the header in the clear')
    .option('--release-dir <dir>', 'where releases are put (default: none are fetched)')
    .option(
      '--telemetry <dir>',
      'where the controller leaves counts of its episodes (*.json), which are reported',
    )
    .option('--policy-name <name>', 'the policy to follow, where the fleet has several')
    .option('--privacy-ledger <file>', "the ledger of a site that robots share (default: the client's own)")
    .option('--gateway-updates <dir>', "leave updates there for the site's gateway, which sends them")
    .option(
      '--quiet-seconds <s>',
      'without a marker, an adapter counts as finished once nothing has changed for this long',
      integerOption(1, 86_400),
      10,
    )
    .action((options: RobotRunOptions) =>
      runUntilStopped(options, 'client', (run) =>
        runRobot(run, {
          clientDirectory: options.client,
          adapterDirectory: options.adapter,
          baseDirectory: options.base,
          trainingFile: options.training,
          releaseDirectory: options.releaseDir,
          telemetryDirectory: options.telemetry,
          policyName: options.policyName,
          gatewayUpdatesDirectory: options.gatewayUpdates,
          quietMs: options.quietSeconds * 1000,
          client: { privacyLedger: options.privacyLedger },
        }),
      ),
    );
}
