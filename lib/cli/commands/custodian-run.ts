import type { Command } from 'commander';
import { runCustodian } from '../../agents/run-roles.js';
import { type AgentCommandOptions, agentOptions, runUntilStopped } from '../agent-options.js';

interface CustodianRunOptions extends AgentCommandOptions {
  readonly custodian: string;
  readonly rotate: boolean;
}

export function custodianRunCommand(command: Command): Command {
  return agentOptions(command)
    .description("answer for each round's one set, and move to new keys in time; until it is stopped")
    .requiredOption('--custodian <dir>', "this custodian's directory")
    .option('--no-rotate', 'leave rotation to "keys rotate"')
    .action((options: CustodianRunOptions) =>
      runUntilStopped(options, 'custodian', (run) =>
        runCustodian(run, { custodianDirectory: options.custodian, rotate: options.rotate }),
      ),
    );
}
