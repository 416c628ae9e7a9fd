/** What lies in a directory, to the byte: two that are equal prove that nothing was written between them. */
import { createHash } from 'node:crypto';
import { lstat, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { type RunOptions, refusalOf, refuse, tensorguardEach } from './command.js';

/** A refusal is an act, which the audit trail of the role's key store records. */
const AUDITED = /(^|\/)keystore\.sqlite(-\w+)?$/;

/** Path to mode and SHA-256 of every entry below `directory`, hidden ones too, but for what records refusals. */
export async function snapshot(directory: string): Promise<Record<string, string>> {
  const entries: Record<string, string> = {};
  for (const path of (await readdir(directory, { recursive: true })).sort()) {
    if (AUDITED.test(path)) continue;
    const absolute = join(directory, path);
    const status = await lstat(absolute);
    const mode = (status.mode & 0o7777).toString(8);
    entries[path] = status.isDirectory()
      ? `directory ${mode}`
      : `${mode} ${createHash('sha256')
          .update(await readFile(absolute))
          .digest('hex')}`;
  }
  return entries;
}

/** As {@link refuse}, and nothing below `options.cwd` has changed, appeared or gone. */
export async function refuseUntouched(
  args: readonly string[],
  options: RunOptions,
  expected: { readonly exitCode: 1 | 2; readonly code: string },
): Promise<string> {
  const before = await snapshot(options.cwd);
  const message = await refuse(args, options, expected);
  expect(await snapshot(options.cwd)).to.deep.equal(before);
  return message;
}

export interface Refusal {
  /** What is wrong with it. */
  readonly what: string;
  readonly args: readonly string[];
  readonly exitCode: 1 | 2;
  readonly code: string;
}

/** As {@link refuseUntouched}, for many commands in one process; returns their messages. */
export async function refuseAllUntouched(cases: readonly Refusal[], options: RunOptions): Promise<string[]> {
  const before = await snapshot(options.cwd);
  const all = await tensorguardEach(
    cases.map(({ args }) => [...args, '--json']),
    options,
  );
  expect(all).to.have.length(cases.length);
  const messages = cases.map(({ what, args, ...expected }, i) =>
    refusalOf([`(${what})`, ...args], all[i] as (typeof all)[number], expected),
  );
  expect(await snapshot(options.cwd)).to.deep.equal(before);
  return messages;
}
