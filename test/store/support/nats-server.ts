/** A nats-server with JetStream for one suite: its own port on the loopback, its own directory, its own process. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';

const COMMAND = 'nats-server';
const START_TIMEOUT_MS = 10_000;

export interface NatsServerOptions {
  /** Where JetStream keeps its streams; the same directory after a restart. */
  readonly storeDirectory: string;
  /** More of the command line. */
  readonly arguments?: readonly string[];
}

export class NatsServer {
  private process: ChildProcess | undefined;

  private constructor(
    private readonly options: NatsServerOptions,
    readonly port: number,
  ) {}

  static async start(options: NatsServerOptions): Promise<NatsServer> {
    const server = new NatsServer(options, await freePort());
    await server.startAgain();
    return server;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Starts it where it was, after `stop` or `kill`; does nothing while it runs. */
  async startAgain(): Promise<void> {
    if (this.process !== undefined) return;
    const { storeDirectory, arguments: more = [] } = this.options;
    const started = spawn(
      COMMAND,
      ['-a', '127.0.0.1', '-p', String(this.port), '-js', '-sd', storeDirectory, ...more],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    this.process = started;
    process.once('exit', () => started.kill('SIGKILL'));
    await ready(started);
  }

  /** Ends it in order. */
  async stop(): Promise<void> {
    await this.end('SIGTERM');
  }

  /** Ends it as a crash would. */
  async kill(): Promise<void> {
    await this.end('SIGKILL');
  }

  async restart(): Promise<void> {
    await this.kill();
    await this.startAgain();
  }

  private async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const running = this.process;
    this.process = undefined;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const ended = once(running, 'exit');
    running.kill(signal);
    await ended;
  }
}

/**
 * Skips the suite, with a message, where nats-server is not installed; on CI, where it must be, fails. For a `before`
 * hook.
 */
export function requireNatsServer(context: Mocha.Context): void {
  if (spawnSync(COMMAND, ['--version']).status === 0) return;
  const advice = `${COMMAND} is not on the PATH (Debian: apt-get install nats-server)`;
  if (process.env['CI'] === 'true') throw new Error(`${advice}, and CI runs these tests`);
  console.warn(`      skipped: ${advice}`);
  context.skip();
}

async function ready(started: ChildProcess): Promise<void> {
  const output = started.stderr;
  if (output === null) throw new Error('nats-server has no log');
  const timer = setTimeout(() => started.kill('SIGKILL'), START_TIMEOUT_MS);
  const log: string[] = [];
  try {
    // The log stays read, or a full pipe would stop the server.
    const lines = createInterface({ input: output });
    await new Promise<void>((resolve, reject) => {
      lines.on('line', (line) => {
        log.push(line);
        if (line.includes('Server is ready')) resolve();
      });
      started.once('error', reject);
      started.once('exit', () => reject(new Error(`nats-server did not start: ${log.join('\n')}`)));
    });
  } finally {
    clearTimeout(timer);
  }
}

async function freePort(): Promise<number> {
  const probe = createServer();
  probe.listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port was free');
  return address.port;
}
