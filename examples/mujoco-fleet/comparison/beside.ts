/** Runs the compared arms in a process of their own. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { ArmsMessage } from './arms-process.js';
import type { ComparedArms, ComparedArmsRequest } from './compared-arms.js';

const ENTRY = fileURLToPath(new URL('./arms-process.js', import.meta.url));

export interface ArmsBeside {
  readonly done: Promise<{ readonly runs: ComparedArms; readonly processorSeconds: number }>;
  /** Ends the process, whether it is done or not. */
  stop(): void;
}

export function runBeside(request: ComparedArmsRequest, progress: (line: string) => void): ArmsBeside {
  const child = fork(ENTRY, { serialization: 'advanced' });
  const done: ArmsBeside['done'] = new Promise((resolve, reject) => {
    child.on('message', (message: ArmsMessage) => {
      if (message.type === 'progress') progress(message.line);
      else resolve(message);
    });
    child.once('error', reject);
    child.once('exit', (code, signal) =>
      reject(new Error(`the process of the compared arms ended before it was done: ${signal ?? code}`)),
    );
  });
  // Whoever awaits it learns of a failure; until then it is not an unhandled one.
  done.catch(() => undefined);
  child.send(request);
  return { done, stop: () => child.kill() };
}
