/** Child processes of the build: their output is the user's, their failure is ours. */
import { spawnSync } from 'node:child_process';

/** A failure whose message says what to do; the entry points print it without a stack. */
export class BuildError extends Error {}

/** Runs a program with inherited output; throws BuildError with `failure` when it fails. */
export function run(program, parameters, { cwd, env, failure }) {
  const { status, error } = spawnSync(program, parameters, {
    cwd,
    env: env ?? process.env,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (error !== undefined) throw new BuildError(`${failure} (${program}: ${error.message})`);
  if (status !== 0) throw new BuildError(failure);
}

/** Whether `program --version` answers. */
export function answers(program) {
  return spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0;
}

/** Runs an entry point: a BuildError becomes its message and exit code 1. */
export function runMain(main) {
  try {
    main();
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
