/** A directory for plaintext that nobody else may read, and that nothing but a power cut leaves behind. */
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/** @param parent where it is made: as well protected as what is put into it */
export async function withPrivateTemporary<T>(
  parent: string,
  body: (directory: string) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(join(parent, '.tensorguard-'));
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  const endedBy = (signal: NodeJS.Signals): void => {
    remove();
    // Nobody listens any more: this ends the process the way that it was meant to.
    process.kill(process.pid, signal);
  };
  for (const signal of SIGNALS) process.once(signal, endedBy);
  try {
    return await body(directory);
  } finally {
    remove();
    for (const signal of SIGNALS) process.off(signal, endedBy);
  }
}
