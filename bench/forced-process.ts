/** A child process under a forced instruction set: the addon picks its kernels once, when it is loaded. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { EnvironmentError } from '../lib/errors.js';
import { type EncryptRequestMessage, encryptReplySchema } from './encrypt-messages.js';
import type { Elapsed } from './measure.js';

export class ForcedProcess {
  readonly instructionSet: string;
  readonly #child: ChildProcess;

  constructor(instructionSet: string) {
    this.instructionSet = instructionSet;
    this.#child = fork(fileURLToPath(new URL('./encrypt-process.js', import.meta.url)), [], {
      env: { ...process.env, TENSORGUARD_FORCE_ISA: instructionSet },
      execArgv: [],
    });
  }

  /**
   * The time of one repetition, taken inside the process. One request at a time: two would slow each other.
   *
   * @throws EnvironmentError `bench.process-failed`
   */
  time(request: EncryptRequestMessage): Promise<Elapsed> {
    return new Promise((resolve, reject) => {
      const fail = (reason: string) =>
        reject(
          new EnvironmentError(
            'bench.process-failed',
            `Encryption with TENSORGUARD_FORCE_ISA=${this.instructionSet} was not measured: ${reason}`,
          ),
        );
      const settle = () => {
        this.#child.off('message', onMessage);
        this.#child.off('exit', onExit);
      };
      const onMessage = (message: unknown) => {
        settle();
        const reply = encryptReplySchema.safeParse(message);
        if (!reply.success) return fail('its process sent something that is not a timing.');
        if ('error' in reply.data) return fail(reply.data.error);
        resolve(reply.data);
      };
      const onExit = (code: number | null, signal: string | null) => {
        settle();
        fail(`its process ended (${signal ?? `exit code ${code}`}).`);
      };
      this.#child.on('message', onMessage);
      this.#child.on('exit', onExit);
      if (!this.#child.connected) {
        settle();
        return fail('its process has ended.');
      }
      this.#child.send(request);
    });
  }

  /** Lets the process end by itself. */
  close(): void {
    if (this.#child.connected) this.#child.disconnect();
  }
}
