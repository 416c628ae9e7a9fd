/** A server as a process of its own on one port, started again whenever it is killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const PROGRAM = fileURLToPath(new URL('../../../bin/tensorguard-native.js', import.meta.url));
const readySchema = z.object({ address: z.string(), ready: z.literal(true) });

export class KilledServer {
  #child: ChildProcess | undefined;
  #port = 0;
  /** What it said on standard error, over all its lives. */
  log = '';

  constructor(private readonly parameters: readonly string[]) {}

  /** @returns its address, once it listens for the first time */
  async start(): Promise<string> {
    const { stdout } = this.#spawn();
    let text = '';
    for await (const piece of stdout) {
      text += String(piece);
      if (text.trimEnd().endsWith('}')) break;
    }
    const { address } = readySchema.parse(JSON.parse(text));
    this.#port = Number(new URL(address).port);
    return address;
  }

  /** At whatever it is doing; it is being started again when this returns. */
  async killAndStart(): Promise<void> {
    await this.kill();
    this.#spawn();
  }

  /** @throws Error where it had ended by itself */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    if (child.exitCode !== null) {
      throw new Error(`the server ended by itself with ${child.exitCode}: ${this.log.slice(-3000)}`);
    }
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  #spawn(): { readonly stdout: NodeJS.ReadableStream } {
    const parameters = ['server', '--json', '--port', `${this.#port}`, ...this.parameters];
    const child = spawn(process.execPath, [PROGRAM, ...parameters], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.log += text;
    });
    const kill = (): boolean => child.kill('SIGKILL');
    process.once('exit', kill);
    child.once('exit', () => process.removeListener('exit', kill));
    this.#child = child;
    return child;
  }
}
