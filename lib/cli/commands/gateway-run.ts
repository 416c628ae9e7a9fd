import type { Command } from 'commander';
import { runGateway } from '../../agents/run-roles.js';
import { type AgentCommandOptions, agentOptions, runUntilStopped } from '../agent-options.js';
import { integerOption } from '../options.js';

interface GatewayRunOptions extends AgentCommandOptions {
  readonly gateway: string;
  readonly updates: string;
  readonly expectRobots?: number;
  readonly sendBeforeSeconds: number;
}

export function gatewayRunCommand(command: Command): Command {
  return agentOptions(command)
    .description("sum the site's updates and send one partial sum in their place; until it is stopped")
    .requiredOption('--gateway <dir>', "this gateway's directory")
    .requiredOption('--updates <dir>', 'where the robots leave their updates (robot run --gateway-updates)')
    .option('--expect-robots <n>', 'send once so many robots have left an update', integerOption(1, 65_536))
    .option(
      '--send-before-seconds <s>',
      "send so long before the round's deadline in any case",
      integerOption(1, 86_400),
      120,
    )
    .action((options: GatewayRunOptions) =>
      runUntilStopped(options, 'gateway', (run) =>
        runGateway(run, {
          gatewayDirectory: options.gateway,
          updatesDirectory: options.updates,
          expectedRobots: options.expectRobots,
          sendBeforeMs: options.sendBeforeSeconds * 1000,
        }),
      ),
    );
}
