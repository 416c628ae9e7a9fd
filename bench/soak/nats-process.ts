/** A nats-server with JetStream, for measurements alone: on the loopback, in a directory that goes with it. */
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

/** As it says itself: `nats-server: v2.9.10`. */
export function natsVersion(): string {
  return spawnSync(COMMAND, ['--version'], { encoding: 'utf8' }).stdout.trim();
}

export class NatsProcess {
  #child: ChildProcess | undefined;

  private constructor(
    private readonly directory: string,
    private readonly port: number,
    private readonly cluster: readonly string[] = [],
  ) {}

  static async start(directory: string): Promise<NatsProcess> {
    const nats = new NatsProcess(directory, await freePort());
    await nats.start();
    return nats;
  }

  /** Servers of one cluster, with a directory each. */
  static async startCluster(directories: readonly string[]): Promise<NatsProcess[]> {
    const routes: string[] = [];
    for (const _ of directories) routes.push(`nats://127.0.0.1:${await freePort()}`);
    const servers: NatsProcess[] = [];
    for (const [i, directory] of directories.entries()) {
      const own = ['--name', `nats-${i}`, '--cluster_name', 'soak', '--cluster', routes[i] ?? ''];
      servers.push(new NatsProcess(directory, await freePort(), [...own, '--routes', routes.join()]));
    }
    await Promise.all(servers.map((server) => server.start()));
    return servers;
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
    const own = ['-a', '127.0.0.1', '-p', String(this.port), '-js', '-sd', this.directory];
    const child = spawn(COMMAND, [...own, ...this.cluster], { stdio: 'ignore' });
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
