/**
 * Cuts the power before the n-th write of an action: that write is made by half or not at all, and nothing after it,
 * cleaning up included, reaches the disk. A write is a SQL statement that is executed, or a file or directory that is
 * made, written, flushed, linked, renamed or removed. What is on the disk then is what a killed process leaves, and the
 * test goes on in the same process.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import Database from 'libsql';

type Method = (this: unknown, ...values: unknown[]) => unknown;

class PowerCut extends Error {}

async function fileHandlePrototype(): Promise<object> {
  const file = await fs.promises.open('/dev/null', 'r');
  await file.close();
  return Object.getPrototypeOf(file) as object;
}

function statementPrototype(): object {
  const probe = new Database(':memory:');
  try {
    return Object.getPrototypeOf(probe.prepare('SELECT 1')) as object;
  } finally {
    probe.close();
  }
}

/** A file opened for reading; or a rollback, which the death of a process comes to as well. */
function writesNothing(name: string, values: readonly unknown[]): boolean {
  if (name === 'exec') return values[0] === 'ROLLBACK';
  return name === 'open' && (values[1] === undefined || values[1] === 'r');
}

/** Whether `action` came to its end before write number `at`; its own errors pass through. */
async function endsBefore(at: number, action: () => Promise<unknown>): Promise<boolean> {
  let writes = 0;
  const restore: (() => void)[] = [];
  const handles = await fileHandlePrototype();
  const count = (holder: object, name: string): void => {
    const original = Reflect.get(holder, name) as Method;
    if (typeof original !== 'function') throw new Error(`there is no ${name} to count`);
    restore.push(() => Reflect.set(holder, name, original));
    Reflect.set(holder, name, function (this: unknown, ...values: unknown[]) {
      if (writesNothing(name, values)) return original.apply(this, values);
      writes += 1;
      if (writes < at) return original.apply(this, values);
      const [data] = values;
      if (writes > at || name !== 'writeFile' || !(data instanceof Uint8Array)) throw new PowerCut();
      return Promise.resolve(original.call(this, data.subarray(0, data.length >> 1))).then(() => {
        throw new PowerCut();
      });
    });
  };
  count(statementPrototype(), 'run');
  count(Database.prototype, 'exec');
  for (const name of ['write', 'writeFile', 'sync', 'truncate']) count(handles, name);
  for (const name of ['open', 'mkdir', 'link', 'rename', 'unlink', 'rm', 'copyFile'])
    count(fs.promises, name);
  // Modules that import these by name see the counting ones only after this.
  syncBuiltinESMExports();
  try {
    await action();
    return true;
  } catch (error) {
    if (writes < at) throw error;
    return false;
  } finally {
    for (const undo of restore) undo();
    syncBuiltinESMExports();
  }
}

/**
 * Runs `trial` with the power cut before write 1, 2, 3, ... of what it passes to its argument, until one comes to its
 * end: every write was reached then.
 *
 * @returns how many writes there are
 */
export async function atEveryWrite(
  trial: (cut: (action: () => Promise<unknown>) => Promise<boolean>, at: number) => Promise<void>,
): Promise<number> {
  for (let at = 1; at < 500; at += 1) {
    let ended: boolean | undefined;
    await trial(async (action) => {
      ended = await endsBefore(at, action);
      return ended;
    }, at);
    if (ended === undefined) throw new Error('the trial cut nothing');
    if (ended) return at - 1;
  }
  throw new Error('the action has no end');
}
