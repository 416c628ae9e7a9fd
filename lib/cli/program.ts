/** The command line (DESIGN section 6): what it is made of, how it ends. */
import { Command, CommanderError } from 'commander';
import { TensorGuardError } from '../errors.js';
import { aggregateCommand } from './commands/aggregate.js';
import { benchCommand } from './commands/bench.js';
import { closeCommand } from './commands/close.js';
import { custodianAnswerCommand } from './commands/custodian-answer.js';
import { doctorCommand } from './commands/doctor.js';
import { fleetInitCommand } from './commands/fleet-init.js';
import { inspectCommand } from './commands/inspect.js';
import { openCommand } from './commands/open.js';
import { planCommand } from './commands/plan.js';
import { sealCommand } from './commands/seal.js';
import { createOutput, jsonText, type Output } from './output.js';

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
  const group = (name: string, description: string): Command =>
    program
      .command(name)
      .description(description)
      .option(...JSON_OPTION)
      .exitOverride();
  const add = (parent: Command, name: string, build: BuildCommand): void => {
    const command = parent
      .command(name)
      .option(...JSON_OPTION)
      .exitOverride();
    // Wherever it stands, the outermost command takes it.
    build(command, () => createOutput(command.optsWithGlobals<{ json?: boolean }>().json === true));
  };
  const fleet = group('fleet', 'fleets and who belongs to them');
  add(fleet, 'init', fleetInitCommand);
  add(program, 'plan', planCommand);
  add(program, 'seal', sealCommand);
  add(program, 'aggregate', aggregateCommand);
  const custodian = group('custodian', "a custodian's part");
  add(custodian, 'answer', custodianAnswerCommand);
  add(program, 'open', openCommand);
  add(program, 'close', closeCommand);
  add(program, 'inspect', inspectCommand);
  add(program, 'doctor', doctorCommand);
  add(program, 'bench', benchCommand);
  return program;
}

function fail(json: boolean, code: string, message: string, exitCode: number): number {
  if (json) process.stdout.write(`${jsonText({ error: { code, message } })}\n`);
  process.stderr.write(`${code}: ${message}\n`);
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
