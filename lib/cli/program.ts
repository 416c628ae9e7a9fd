/** The command line (DESIGN section 6): what it is made of, how it ends. */
import { Command, CommanderError } from 'commander';
import { TensorGuardError } from '../errors.js';
import { aggregateCommand } from './commands/aggregate.js';
import { aggregatorInitCommand } from './commands/aggregator-init.js';
import { benchCommand } from './commands/bench.js';
import { clientInitCommand } from './commands/client-init.js';
import { closeCommand } from './commands/close.js';
import { coordinatorInitCommand } from './commands/coordinator-init.js';
import { custodianAnswerCommand } from './commands/custodian-answer.js';
import { custodianInitCommand } from './commands/custodian-init.js';
import { custodianRunCommand } from './commands/custodian-run.js';
import { dashboardCommand } from './commands/dashboard.js';
import { doctorCommand } from './commands/doctor.js';
import { evaluateCommand } from './commands/evaluate.js';
import { fleetEnrollCommand } from './commands/fleet-enroll.js';
import { fleetInitCommand } from './commands/fleet-init.js';
import { fleetJoinCommand } from './commands/fleet-join.js';
import { fleetRevokeCommand } from './commands/fleet-revoke.js';
import { gatewayInitCommand } from './commands/gateway-init.js';
import { gatewayRunCommand } from './commands/gateway-run.js';
import { gatewaySumCommand } from './commands/gateway-sum.js';
import { inspectCommand } from './commands/inspect.js';
import { keysAuditHeadCommand } from './commands/keys-audit-head.js';
import { keysAuditShowCommand } from './commands/keys-audit-show.js';
import { keysAuditVerifyCommand } from './commands/keys-audit-verify.js';
import { keysBreakGlassAnswerCommand } from './commands/keys-break-glass-answer.js';
import { keysBreakGlassCloseCommand } from './commands/keys-break-glass-close.js';
import { keysBreakGlassInitCommand } from './commands/keys-break-glass-init.js';
import { keysCreateWrappingKeyCommand } from './commands/keys-create-wrapping-key.js';
import { keysExportCommand } from './commands/keys-export.js';
import { keysImportCommand } from './commands/keys-import.js';
import { keysListCommand } from './commands/keys-list.js';
import { keysRewrapCommand } from './commands/keys-rewrap.js';
import { keysRotateCommand } from './commands/keys-rotate.js';
import { keysStateCommand } from './commands/keys-state.js';
import { keysStatusCommand } from './commands/keys-status.js';
import { metricsCommand } from './commands/metrics.js';
import { openCommand } from './commands/open.js';
import { ownerRunCommand } from './commands/owner-run.js';
import { planCommand } from './commands/plan.js';
import { releaseCreateCommand } from './commands/release-create.js';
import { releaseDiffCommand } from './commands/release-diff.js';
import { releaseListCommand } from './commands/release-list.js';
import { releaseOpenCommand } from './commands/release-open.js';
import { releaseShowCommand } from './commands/release-show.js';
import { robotRunCommand } from './commands/robot-run.js';
import { rolloutDecisionCommand, rolloutStartCommand, rolloutStatusCommand } from './commands/rollout.js';
import { sealCommand } from './commands/seal.js';
import { serverCommand } from './commands/server.js';
import { serverTokenCreateCommand } from './commands/server-token-create.js';
import { serverTokenListCommand } from './commands/server-token-list.js';
import { serverTokenRevokeCommand } from './commands/server-token-revoke.js';
import { statusCommand } from './commands/status.js';
import { createOutput, jsonText, type Output } from './output.js';
import { printableLines } from './printable.js';

type BuildCommand = (command: Command, output: () => Output) => Command;

const EXIT_REFUSED = 1;
const EXIT_USAGE = 2;

const JSON_OPTION = ['--json', 'print one JSON document on stdout'] as const;

function buildProgram(version: string): Command {
  const program = new Command('tensorguard-native')
    .description('Robot fleets fine-tune policies together; nobody ever sees what one robot learned.')
    .version(version)
    .option(...JSON_OPTION)
    .exitOverride();
  const group = (name: string, description: string, parent = program): Command =>
    parent
      .command(name)
      .description(description)
      .option(...JSON_OPTION)
      .exitOverride();
  const add = (parent: Command, name: string, build: BuildCommand): Command => {
    const command = parent
      .command(name)
      .option(...JSON_OPTION)
      .exitOverride();
    // Wherever it stands, the outermost command takes it.
    return build(command, () => createOutput(command.optsWithGlobals<{ json?: boolean }>().json === true));
  };
  const fleet = group('fleet', 'fleets and who belongs to them');
  add(fleet, 'init', fleetInitCommand);
  add(fleet, 'enroll', fleetEnrollCommand);
  add(fleet, 'revoke', fleetRevokeCommand);
  add(fleet, 'join', fleetJoinCommand);
  const client = group('client', "a client's part");
  add(client, 'init', clientInitCommand);
  add(group('coordinator', "the coordinator's part"), 'init', coordinatorInitCommand);
  add(group('aggregator', "an aggregator's part"), 'init', aggregatorInitCommand);
  const gateway = group('gateway', "a site's gateway");
  add(gateway, 'init', gatewayInitCommand);
  add(gateway, 'sum', gatewaySumCommand);
  add(gateway, 'run', gatewayRunCommand);
  add(program, 'plan', planCommand);
  add(program, 'seal', sealCommand);
  add(program, 'aggregate', aggregateCommand);
  const custodian = group('custodian', "a custodian's part");
  add(custodian, 'init', custodianInitCommand);
  add(custodian, 'answer', custodianAnswerCommand);
  add(custodian, 'run', custodianRunCommand);
  const robot = group('robot', 'beside the trainer');
  add(robot, 'run', robotRunCommand);
  const owner = group('owner', "the owner's part");
  add(owner, 'run', ownerRunCommand);
  add(program, 'open', openCommand);
  add(program, 'close', closeCommand);
  const keys = group('keys', 'private keys: states, rotation, wrapping, audit, break-glass, recovery');
  add(keys, 'list', keysListCommand);
  add(keys, 'status', keysStatusCommand);
  add(keys, 'rotate', keysRotateCommand);
  add(keys, 'create-wrapping-key', keysCreateWrappingKeyCommand);
  add(keys, 'rewrap', keysRewrapCommand);
  add(keys, 'export', keysExportCommand);
  add(keys, 'import', keysImportCommand);
  add(keys, 'activate', keysStateCommand('active'));
  add(keys, 'suspend', keysStateCommand('suspended'));
  add(keys, 'deactivate', keysStateCommand('deactivated'));
  add(keys, 'compromise', keysStateCommand('compromised'));
  add(keys, 'destroy', keysStateCommand('destroyed'));
  const audit = group('audit', 'the audit trail', keys);
  add(audit, 'verify', keysAuditVerifyCommand);
  add(audit, 'head', keysAuditHeadCommand);
  add(audit, 'show', keysAuditShowCommand);
  const breakGlass = group('break-glass', 'officers unlock one key for one round', keys);
  add(breakGlass, 'init', keysBreakGlassInitCommand);
  add(breakGlass, 'answer', keysBreakGlassAnswerCommand);
  add(breakGlass, 'close', keysBreakGlassCloseCommand);
  const release = group('release', 'the average, encrypted to the fleet');
  add(release, 'create', releaseCreateCommand);
  add(release, 'open', releaseOpenCommand);
  add(release, 'list', releaseListCommand);
  add(release, 'show', releaseShowCommand);
  add(release, 'diff', releaseDiffCommand);
  add(program, 'evaluate', evaluateCommand);
  const rollout = group('rollout', 'a release on its way to the fleet, step by step');
  add(rollout, 'start', rolloutStartCommand);
  add(rollout, 'status', rolloutStatusCommand);
  for (const name of ['pause', 'resume', 'promote', 'abort', 'rollback'] as const) {
    add(rollout, name, rolloutDecisionCommand(name));
  }
  const server = add(program, 'server', serverCommand);
  const token = group('token', 'bearer tokens for people', server);
  add(token, 'create', serverTokenCreateCommand);
  add(token, 'list', serverTokenListCommand);
  add(token, 'revoke', serverTokenRevokeCommand);
  add(program, 'dashboard', dashboardCommand);
  add(program, 'status', statusCommand);
  add(program, 'metrics', metricsCommand);
  add(program, 'inspect', inspectCommand);
  add(program, 'doctor', doctorCommand);
  add(program, 'bench', benchCommand);
  return program;
}

function fail(json: boolean, code: string, message: string, exitCode: number): number {
  if (json) process.stdout.write(`${jsonText({ error: { code, message } })}\n`);
  process.stderr.write(`${printableLines(`${code}: ${message}`)}\n`);
  return exitCode;
}

/**
 * Runs one command.
 *
 * @param args without the interpreter and the script
 * @returns 0, 1 (refused: bad input, policy, quorum, environment) or 2 (usage)
 */
export async function run(args: readonly string[], version: string): Promise<number> {
  const json = args.includes('--json');
  try {
    await buildProgram(version).parseAsync(args, { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) {
      // Help and version end here too, with exit code 0; commander has printed what it has to say.
      if (error.exitCode === 0) return 0;
      const message =
        error.code === 'commander.help' ? 'No command was given; stderr lists them.' : error.message;
      if (json) process.stdout.write(`${jsonText({ error: { code: 'usage', message } })}\n`);
      return EXIT_USAGE;
    }
    if (error instanceof TensorGuardError) return fail(json, error.code, error.message, error.exitCode);
    const system = error as NodeJS.ErrnoException;
    if (typeof system.code === 'string' && system.syscall !== undefined) {
      return fail(json, `system.${system.code.toLowerCase()}`, system.message, EXIT_REFUSED);
    }
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    return fail(
      json,
      'internal.unexpected',
      'An unexpected error; please report it with the lines above.',
      EXIT_REFUSED,
    );
  }
}
