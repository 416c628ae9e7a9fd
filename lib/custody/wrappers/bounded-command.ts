/** Running a program with bytes in, bytes out, and a bound on everything. */
import { type ChildProcess, spawn } from 'node:child_process';

const MAX_STDERR_BYTES = 4096;

export interface CommandLimits {
  readonly timeoutMs: number;
  readonly maxOutputBytes: number;
}

export interface CommandSurroundings {
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
}

export type CommandOutcome =
  | { readonly kind: 'exited'; readonly status: number | string }
  | { readonly kind: 'not-started'; readonly cause: Error }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'too-much-output' };

export interface CommandResult {
  readonly outcome: CommandOutcome;
  /** May be a secret, or the beginning of one where the program failed: the caller wipes it. */
  readonly output: Uint8Array;
  /** Its first bytes. */
  readonly stderr: Uint8Array;
}

/**
 * Runs a program without a shell, writes `input` to it and waits for its end. Whatever outlives the time limit is killed
 * with everything that it started, unless that left the process group.
 *
 * @param input lent until the promise settles
 */
export function runBounded(
  [program, ...args]: readonly [string, ...string[]],
  input: Uint8Array,
  surroundings: CommandSurroundings,
  limits: CommandLimits,
): Promise<CommandResult> {
  return new Promise((fulfil) => {
    // A group of its own, or killing a shell script would leave the client that it waits for.
    const child = spawn(program, args, {
      cwd: surroundings.directory,
      env: { ...surroundings.environment },
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const output = new BoundedBytes(limits.maxOutputBytes);
    const stderr = new BoundedBytes(MAX_STDERR_BYTES);
    const settle = (outcome: CommandOutcome) => {
      clearTimeout(timer);
      fulfil({ outcome, output: output.take(), stderr: stderr.take() });
    };
    const stop = (outcome: CommandOutcome) => {
      killGroup(child);
      settle(outcome);
    };
    const timer = setTimeout(() => stop({ kind: 'timeout' }), limits.timeoutMs);
    child.stdout.on('data', (chunk: Buffer) => {
      if (!output.add(chunk)) stop({ kind: 'too-much-output' });
    });
    child.stderr.on('data', (chunk: Buffer) => stderr.add(chunk));
    child.on('error', (cause) => stop({ kind: 'not-started', cause }));
    child.on('close', (code, signal) => settle({ kind: 'exited', status: code ?? signal ?? 'unknown' }));
    // A program that ends without reading closes the pipe; how it ended says more than that.
    child.stdin.on('error', () => undefined);
    child.stdin.end(Buffer.from(input.buffer, input.byteOffset, input.length));
  });
}

/** Keeps the first bytes of a stream, and no copy that is not wiped. */
class BoundedBytes {
  readonly #bytes: Uint8Array;
  #sizeBytes = 0;

  constructor(maxBytes: number) {
    this.#bytes = new Uint8Array(maxBytes);
  }

  /** Whether all of `chunk` fitted. Wipes `chunk`. */
  add(chunk: Uint8Array): boolean {
    const room = this.#bytes.length - this.#sizeBytes;
    this.#bytes.set(chunk.subarray(0, room), this.#sizeBytes);
    this.#sizeBytes += Math.min(chunk.length, room);
    const fitted = chunk.length <= room;
    chunk.fill(0);
    return fitted;
  }

  take(): Uint8Array {
    const taken = this.#bytes.slice(0, this.#sizeBytes);
    this.#bytes.fill(0);
    this.#sizeBytes = 0;
    return taken;
  }
}

function killGroup(child: ChildProcess): void {
  if (child.pid !== undefined) {
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // The group has ended by itself.
    }
  }
  // What left the group may hold the pipes open, and they would keep this process alive.
  for (const stream of child.stdio) stream?.destroy();
  child.unref();
}
