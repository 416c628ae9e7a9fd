/** A real Prometheus for one suite: its own port on the loopback, its own directory, its own process; and promtool. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { temporaryDirectory } from '../../support/temporary-directory.js';

const START_TIMEOUT_MS = 20_000;

/** Skips, with a message, where Debian's package is not installed; on CI, where it must be, fails. For a `before` hook. */
export function requirePrometheus(context: Mocha.Context): void {
  const missing = ['prometheus', 'promtool'].filter(
    (command) => spawnSync(command, ['--version']).status !== 0,
  );
  if (missing.length === 0) return;
  const advice = `${missing.join(', ')}: not on the PATH (Debian: apt-get install prometheus)`;
  if (process.env['CI'] === 'true') throw new Error(`${advice}, and CI runs these tests`);
  console.warn(`      skipped: ${advice}`);
  context.skip();
}

/** Runs promtool. @returns its exit status and all that it said */
export function promtool(
  args: readonly string[],
  input = '',
): { readonly status: number | null; readonly said: string } {
  const { status, stdout, stderr } = spawnSync('promtool', args, { input, encoding: 'utf8' });
  return { status, said: `${stdout}${stderr}` };
}

export class PrometheusProcess {
  private constructor(
    readonly address: string,
    private readonly process: ChildProcess,
  ) {}

  /** @param config of Prometheus, in YAML */
  static async start(config: string): Promise<PrometheusProcess> {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, 'prometheus.yml'), config);
    const port = await freePort();
    const child = spawn(
      'prometheus',
      [
        `--config.file=${join(directory, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(directory, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
        '--storage.tsdb.retention.time=1h',
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    const log: string[] = [];
    const timer = setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT_MS);
    try {
      await new Promise<void>((resolve, reject) => {
        createInterface({ input: child.stderr }).on('line', (line) => {
          log.push(line);
          if (line.includes('Server is ready')) resolve();
        });
        child.once('error', reject);
        child.once('exit', () => reject(new Error(`prometheus did not start: ${log.join('\n')}`)));
      });
    } finally {
      clearTimeout(timer);
    }
    return new PrometheusProcess(`http://127.0.0.1:${port}`, child);
  }

  /** An answer of its HTTP API. */
  async get(path: string): Promise<unknown> {
    const response = await fetch(new URL(path, this.address));
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return ((await response.json()) as { readonly data: unknown }).data;
  }

  async stop(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const ended = once(this.process, 'exit');
    this.process.kill('SIGTERM');
    await ended;
  }
}

async function freePort(): Promise<number> {
  const probe = createServer();
  probe.listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}
