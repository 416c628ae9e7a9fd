/**
 * A process that opens a spool, to be killed while it does: by its own hand, right after call number `killAfter` to the
 * file system (never for 0). Else it writes, reads back, and prints "read back" where that is what it wrote. Usage:
 * node spool-process.js with-tmpfile|without-tmpfile|tidied-by-another killAfter
 *
 * `without-tmpfile`: as on a file system that makes no file without a name. `tidied-by-another`: there, while another
 * process removes each name as soon as it appears.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

type Method = (...values: unknown[]) => Promise<unknown>;

const [support, killAfter] = process.argv.slice(2);
let calls = 0;

function unsupported(): Error {
  return Object.assign(new Error('ENOTSUP: this file system has no nameless files'), { code: 'ENOTSUP' });
}

for (const name of ['open', 'readdir', 'unlink']) {
  const original = Reflect.get(fs.promises, name) as Method;
  Reflect.set(fs.promises, name, async (...values: unknown[]): Promise<unknown> => {
    const nameless = name === 'open' && typeof values[1] === 'number';
    if (nameless && support !== 'with-tmpfile') throw unsupported();
    const result = await original(...values);
    if (name === 'open' && support === 'tidied-by-another') fs.unlinkSync(String(values[0]));
    calls += 1;
    if (calls === Number(killAfter)) process.kill(process.pid, 'SIGKILL');
    return result;
  });
}
// Modules that import these by name see the counting ones only after this.
syncBuiltinESMExports();

const { Spool } = await import('../../../lib/round/spool.js');
const spool = await Spool.open();
const pieces = [await spool.append(Buffer.from('read')), await spool.append(Buffer.from(' back'))];
const read: Uint8Array[] = [];
for await (const bytes of spool.section(pieces).read()) read.push(bytes);
await spool.close();
process.stdout.write(Buffer.concat(read));
