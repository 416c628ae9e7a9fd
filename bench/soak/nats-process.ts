/** A nats-server with JetStream, for the soak alone: on the loopback, in a directory that goes with it. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { EnvironmentError } from '../../lib/errors.js';
import { freePort } from './server-process.js';

const COMMAND = 'nats-server';
const START_TIMEOUT_MS = 20_000;

export function hasNatsServer(): boolean {
  return spawnSync(COMMAND, ['--version']).status === 0;
}

export class NatsProcess {
  #child: ChildProcess | undefined;

  private constructor(
    private readonly directory: string,
    private readonly port: number,
  ) {}

  static async start(directory: string): Promise<NatsProcess> {
    const nats = new NatsProcess(directory, await freePort());
    await nats.start();
    return nats;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  /** Starts it where it was. */
  async start(): Promise<void> {
    const child = spawn(COMMAND, ['-a', '127.0.0.1', '-p', String(this.port), '-js', '-sd', this.directory], {
      stdio: 'ignore',
    });
    this.#child = child;
    const kill = (): boolean => child.kill('SIGKILL');
    process.once('exit', kill);
    child.once('exit', () => process.removeListener('exit', kill));
    for (const end = Date.now() + START_TIMEOUT_MS; Date.now() < end; await sleep(50)) {
      if (await accepts(this.port)) return;
    }
    throw new EnvironmentError('soak.nats', `${COMMAND} does not listen on 127.0.0.1:${this.port}.`);
  }
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
