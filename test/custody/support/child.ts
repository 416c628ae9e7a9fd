/** Running a module of the tests in a process of its own. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface ChildResult {
  /** Killed by SIGKILL, as `kill-point` does. */
  readonly killed: boolean;
  /** What the child sent last. */
  readonly message: unknown;
}

/** Starts `module`, named relative to this folder, with one argument, JSON. */
export function startChild(module: string, argument: unknown, killAt = 0): ChildProcess {
  return fork(fileURLToPath(new URL(`${module}.js`, import.meta.url)), [JSON.stringify(argument)], {
    env: { ...process.env, TENSORGUARD_TEST_KILL_AT: String(killAt) },
    execArgv: [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
}

/** Waits for a child to end, by itself or killed; any other end is an error. */
export async function ended(child: ChildProcess): Promise<ChildResult> {
  let message: unknown;
  child.on('message', (received) => {
    message = received;
  });
  const [code, signal] = await once(child, 'close');
  if (code !== 0 && signal !== 'SIGKILL') throw new Error(`the child ended with ${code ?? signal}`);
  return { killed: signal === 'SIGKILL', message };
}

/**
 * Runs `trial` with kill point 1, 2, 3, ... until nothing was killed, which proves that every point was
 * reached. `trial` starts one child with the kill point that it gets and says whether it was killed.
 *
 * @returns how many points there are
 */
export async function atEveryKillPoint(trial: (killAt: number) => Promise<boolean>): Promise<number> {
  for (let killAt = 1; killAt < 500; killAt += 1) {
    if (!(await trial(killAt))) return killAt - 1;
  }
  throw new Error('the child has no end');
}
