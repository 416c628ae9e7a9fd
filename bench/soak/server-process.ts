/** Servers as processes: started, killed at any moment, started again where they were. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { EnvironmentError } from '../../lib/errors.js';
import type { ServerConfig } from './server-entry.js';

const ENTRY = fileURLToPath(new URL('./server-entry.js', import.meta.url));
const START_TIMEOUT_MS = 60_000;
const MEMORY_INTERVAL_MS = 200;

export class ServerProcess {
  readonly address: string;
  readonly #configPath: string;
  #child: ChildProcess | undefined;
  #memory: NodeJS.Timeout | undefined;
  #peakBytes = 0;
  /** What it wrote to its log: errors, since nothing else is asked for. */
  readonly errors: string[] = [];

  private constructor(address: string, configPath: string) {
    this.address = address;
    this.#configPath = configPath;
  }

  /** @param configPath where its configuration is written to */
  static async create(configPath: string, config: Omit<ServerConfig, 'port'>): Promise<ServerProcess> {
    const port = await freePort();
    await writeFile(configPath, JSON.stringify({ ...config, port } satisfies ServerConfig));
    const server = new ServerProcess(`http://127.0.0.1:${port}`, configPath);
    await server.start();
    return server;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** The most memory that any of its processes held at one time; 0 where the system does not tell. */
  get peakBytes(): number {
    this.#sampleMemory();
    return this.#peakBytes;
  }

  /** @returns how long it took until it listened, in milliseconds */
  async start(): Promise<number> {
    const started = performance.now();
    const child = fork(ENTRY, [this.#configPath], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    this.#child = child;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => this.errors.push(text));
    const kill = (): boolean => child.kill('SIGKILL');
    process.once('exit', kill);
    child.once('exit', () => process.removeListener('exit', kill));
    const timer = setTimeout(kill, START_TIMEOUT_MS);
    try {
      const [message] = await Promise.race([
        once(child, 'message'),
        once(child, 'exit').then(() => [undefined]),
      ]);
      if (message === undefined) {
        this.#child = undefined;
        throw new EnvironmentError(
          'soak.server-ended',
          `A server did not start: ${this.errors.join('').slice(-2000)}`,
        );
      }
    } finally {
      clearTimeout(timer);
    }
    this.#memory = setInterval(() => this.#sampleMemory(), MEMORY_INTERVAL_MS);
    return performance.now() - started;
  }

  /** As a power cut does it. */
  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  stop(): Promise<void> {
    return this.#end('SIGTERM');
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#sampleMemory();
    clearInterval(this.#memory);
    this.#child = undefined;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  #sampleMemory(): void {
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    try {
      const [, kilobytes] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
      this.#peakBytes = Math.max(this.#peakBytes, Number(kilobytes ?? 0) * 1024);
    } catch {
      // No /proc, or the process has just ended.
    }
  }
}

export async function freePort(): Promise<number> {
  const probe = createServer();
  probe.listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') {
    throw new EnvironmentError('soak.no-port', 'No port was free on the loopback.');
  }
  return address.port;
}
