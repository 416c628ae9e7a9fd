/** The command line as a child process, the way scripts run it. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { expect } from 'chai';
import { packageRoot } from '../../../lib/native.js';

export interface Ended {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** What the process wrote to descriptor 3, if anything. */
  readonly extra: string;
}

export interface RunOptions {
  readonly cwd: string;
  /** Added to the environment of the tests. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs Node with these arguments to its end. */
export function runNode(args: readonly string[], options: RunOptions): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...args], {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    });
    const texts = [1, 2, 3].map((descriptor) => {
      const pieces: Buffer[] = [];
      child.stdio[descriptor]?.on('data', (piece: Buffer) => pieces.push(piece));
      return (): string => Buffer.concat(pieces).toString('utf8');
    });
    child.on('error', reject);
    child.on('close', (exitCode) => {
      const [stdout = '', stderr = '', extra = ''] = texts.map((text) => text());
      resolve({ exitCode, stdout, stderr, extra });
    });
  });
}

/** Runs `tensorguard-native` with these arguments to its end, whatever it comes to. */
export function tensorguard(args: readonly string[], options: RunOptions): Promise<Ended> {
  return runNode([join(packageRoot(), 'dist', 'bin', 'tensorguard-native.js'), ...args], options);
}

/**
 * Runs many commands one after the other in one process, for those that end before they do anything: starting Node is
 * all that takes time there.
 */
export async function tensorguardEach(
  commands: readonly (readonly string[])[],
  options: RunOptions,
): Promise<Ended[]> {
  const script = `
    import { writeSync } from 'node:fs';
    import { run } from ${JSON.stringify(import.meta.resolve('../../../lib/cli/program.js'))};
    let ended;
    process.stdout.write = (text) => { ended.stdout += text; return true; };
    process.stderr.write = (text) => { ended.stderr += text; return true; };
    const all = [];
    for (const args of JSON.parse(process.argv[1])) {
      ended = { stdout: '', stderr: '', extra: '' };
      all.push(ended);
      ended.exitCode = await run(args, '0.0.0');
    }
    writeSync(3, JSON.stringify(all));`;
  const args = ['--input-type=module', '-e', script, JSON.stringify(commands)];
  const { extra, stderr } = await runNode(args, options);
  expect(extra, stderr).not.to.equal('');
  return JSON.parse(extra) as Ended[];
}

/** The one JSON document on stdout; anything beside it fails the test. */
export function documentOf(ended: Ended): Record<string, unknown> {
  let document: unknown;
  try {
    document = JSON.parse(ended.stdout);
  } catch {
    throw new Error(
      `stdout is not one JSON document (exit ${ended.exitCode}):\n${ended.stdout}\n${ended.stderr}`,
    );
  }
  expect(document, ended.stdout).to.be.an('object');
  return document as Record<string, unknown>;
}

/** Runs a command with --json that must succeed. */
export async function succeed(
  args: readonly string[],
  options: RunOptions,
): Promise<Ended & { readonly document: Record<string, unknown> }> {
  const ended = await tensorguard([...args, '--json'], options);
  const document = documentOf(ended);
  expect(ended.exitCode, `${args.join(' ')}\n${ended.stdout}${ended.stderr}`).to.equal(0);
  return { ...ended, document };
}

/** Runs a command with --json that must end with this exit code and error code; returns the message. */
export async function refuse(
  args: readonly string[],
  options: RunOptions,
  expected: { readonly exitCode: 1 | 2; readonly code: string },
): Promise<string> {
  return refusalOf(args, await tensorguard([...args, '--json'], options), expected);
}

/** What `refuse` says of a command that has ended. */
export function refusalOf(
  args: readonly string[],
  ended: Ended,
  expected: { readonly exitCode: 1 | 2; readonly code: string },
): string {
  const { error, ...rest } = documentOf(ended) as { error?: { code: string; message: string } };
  expect(error?.code, `${args.join(' ')}\n${ended.stdout}${ended.stderr}`).to.equal(expected.code);
  expect(ended.exitCode).to.equal(expected.exitCode);
  expect(rest, 'a refusal says nothing beside its error').to.deep.equal({});
  expect(Object.keys(error ?? {})).to.have.members(['code', 'message']);
  expect(error?.message).to.be.a('string').that.matches(/\S/);
  return error?.message ?? '';
}

/** Runs tasks two at a time: what a small machine does without thrashing. */
export async function twoAtATime<T>(tasks: readonly (() => Promise<T>)[]): Promise<T[]> {
  const results: T[] = new Array<T>(tasks.length);
  let next = 0;
  const work = async (): Promise<void> => {
    for (let i = next++; i < tasks.length; i = next++) results[i] = await (tasks[i] as () => Promise<T>)();
  };
  await Promise.all([work(), work()]);
  return results;
}
