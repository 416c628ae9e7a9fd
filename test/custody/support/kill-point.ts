/**
 * Kills this process, as the kernel would (SIGKILL: no handler, no flush), just before its n-th write: a SQL
 * statement that is executed, or a file that is opened, written, copied, linked, renamed or removed. Running a program with
 * n = 1, 2, 3, ... until it ends by itself stops it between every two writes.
 *
 * n comes from TENSORGUARD_TEST_KILL_AT. For child processes only.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import Database from 'libsql';

const killAt = Number(process.env['TENSORGUARD_TEST_KILL_AT'] ?? 0);
const WRITING = fs.constants.O_WRONLY | fs.constants.O_RDWR;
let counting = false;
let writes = 0;

/** Counts the writes of one phase only, between `countWrites(true)` and `countWrites(false)`. */
export function countWrites(on: boolean): void {
  counting = on;
}

type Method = (...values: unknown[]) => unknown;

/** Opening to read changes nothing. */
function isReading(name: string, [, flags = 'r']: readonly unknown[]): boolean {
  return name === 'openSync' && (flags === 'r' || (Number(flags) & WRITING) === 0);
}

function counted(holder: object, name: string): void {
  const original: unknown = Reflect.get(holder, name);
  if (typeof original !== 'function') throw new Error(`there is no ${name} to count`);
  const method = original as Method;
  Reflect.set(holder, name, function (this: unknown, ...values: unknown[]) {
    const counts = counting && !isReading(name, values);
    if (counts) writes += 1;
    if (counts && writes === killAt) process.kill(process.pid, 'SIGKILL');
    return method.apply(this, values);
  });
}

const probe = new Database(':memory:');
counted(Object.getPrototypeOf(probe.prepare('SELECT 1')), 'run');
counted(Database.prototype, 'exec');
probe.close();
for (const name of ['open', 'link', 'rename', 'unlink', 'rm', 'copyFile', 'writeFile'])
  counted(fs.promises, name);
for (const name of ['openSync', 'linkSync', 'unlinkSync', 'writeSync']) counted(fs, name);
// Modules that import these by name see the counting ones only after this.
syncBuiltinESMExports();
