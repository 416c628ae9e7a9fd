/** A child process under a forced instruction set: the addon picks its kernels once, when it is loaded. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { EnvironmentError } from '../lib/errors.js';
import { type EncryptRequestMessage, encryptReplySchema } from './encrypt-messages.js';
import type { Elapsed } from './measure.js';

export class ForcedProcess {
  readonly instructionSet: string;
  readonly #child: ChildProcess;
  #failure: Error | undefined;

  /** @param program what is forked; it answers each EncryptRequestMessage with an EncryptReplyMessage */
  constructor(instructionSet: string, program = new URL('./encrypt-process.js', import.meta.url)) {
    this.instructionSet = instructionSet;
    this.#child = fork(fileURLToPath(program), [], {
      env: { ...process.env, TENSORGUARD_FORCE_ISA: instructionSet },
      execArgv: [],
    });
    // For as long as the process lives: an error that nobody listens for would end the benchmark.
    this.#child.on('error', (error) => {
      this.#failure = error;
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
        this.#child.off('error', onError);
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
      const onError = (error: Error) => {
        settle();
        fail(`its process cannot be reached (${error.message}).`);
      };
      if (this.#failure !== undefined) return onError(this.#failure);
      if (!this.#child.connected) return fail('its process has ended.');
      this.#child.on('message', onMessage);
      this.#child.on('exit', onExit);
      this.#child.on('error', onError);
      // Without the callback, a process that ends just then (EPIPE) would be an error of nobody's request.
      this.#child.send(request, (error) => {
        if (error !== null) onError(error);
      });
    });
  }

  /** Lets the process end by itself. */
  close(): void {
    if (this.#child.connected) this.#child.disconnect();
  }
}
