/**
 * Stops this process, or its disk, at its n-th write: a file that is opened, written, flushed, linked, renamed
 * or removed. With n = 1, 2, 3, ... that is between every two writes.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

export type Fault =
  /** SIGKILL just before the write: no handler, no flush. */
  | 'kill'
  /** The write fails with ENOSPC, those after it work. */
  | 'full-once'
  /** The write and all after it fail: what is on the disk is what a crash leaves. */
  | 'dead';

let armed: { readonly fault: Fault; readonly at: number } | undefined;
let writes = 0;

/** Every array that went through a file while armed, to see what is left in them. */
let arrays: Uint8Array[] = [];

/** Counts from now on; without `fault`, or with `at` = 0, it only counts. */
export function arm(fault: Fault = 'full-once', at = 0): void {
  armed = { fault, at };
  writes = 0;
  arrays = [];
}

/** Ends what `arm` began. */
export function disarm(): {
  readonly writes: number;
  readonly reached: boolean;
  readonly arrays: Uint8Array[];
} {
  const reached = armed !== undefined && armed.at > 0 && writes >= armed.at;
  armed = undefined;
  return { writes, reached, arrays };
}

type Method = (...values: unknown[]) => unknown;

function hooked(holder: object, name: string): void {
  const original: unknown = Reflect.get(holder, name);
  if (typeof original !== 'function') throw new Error(`there is no ${name} to count`);
  const method = original as Method;
  Reflect.set(holder, name, function (this: unknown, ...values: unknown[]) {
    if (armed !== undefined) {
      if (values[0] instanceof Uint8Array) arrays.push(values[0]);
      if (name !== 'read') writes += 1;
      if (writes === armed.at && armed.fault === 'kill') process.kill(process.pid, 'SIGKILL');
      const fails = armed.fault === 'dead' ? writes >= armed.at : writes === armed.at && name !== 'read';
      if (armed.at > 0 && fails) {
        const error = Object.assign(new Error(`ENOSPC: no space left on device, ${name}`), {
          code: 'ENOSPC',
          syscall: name,
        });
        return Promise.reject(error);
      }
    }
    return method.apply(this, values);
  });
}

for (const name of ['open', 'link', 'rename', 'unlink', 'rm']) hooked(fs.promises, name);
const probe = await fs.promises.open('/dev/null', 'r');
for (const name of ['read', 'write', 'sync']) hooked(Object.getPrototypeOf(probe) as object, name);
await probe.close();
// Modules that import these by name see the hooked ones only after this.
syncBuiltinESMExports();
