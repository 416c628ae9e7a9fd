/** Runs shell scripts side by side; the first one that fails ends them all. */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

const GRACE_MS = 10_000;

export class StageRunner {
  #options;
  #groups = new Set();
  #stopped = false;
  /** Stages that failed by themselves; those that were stopped because of them are not listed. */
  failed = [];

  /**
   * @param {{ scriptOf(stage: string): string, logOf(stage: string): string, onStart?(stage: string): void,
   *   onEnd?(stage: string): void }} options where a stage's script is and where its output goes; `onEnd` is not called
   *   for a stage that was stopped
   */
  constructor(options) {
    this.#options = options;
  }

  /** Runs all stages, so many at a time, each lane taking the next that is left. Returns whether all passed. */
  async run(stages, lanes) {
    const left = [...stages];
    const lane = async () => {
      while (!this.#stopped && left.length > 0) await this.#runStage(left.shift());
    };
    await Promise.all(Array.from({ length: lanes }, lane));
    return !this.#stopped;
  }

  /** Ends what runs, with all that it started; `run` returns once it has ended. */
  stop() {
    this.#stopped = true;
    for (const group of this.#groups) {
      signalGroup(group, 'SIGTERM');
      setTimeout(() => signalGroup(group, 'SIGKILL'), GRACE_MS).unref();
    }
  }

  async #runStage(stage) {
    const { scriptOf, logOf, onStart, onEnd } = this.#options;
    onStart?.(stage);
    const passed = await this.#ended(scriptOf(stage), logOf(stage));
    if (this.#stopped) return;
    onEnd?.(stage);
    if (passed) return;
    this.failed.push(stage);
    this.stop();
  }

  #ended(script, log) {
    const output = openSync(log, 'w');
    // A process group of its own: a compiler's or an emulator's children end with it.
    const child = spawn('bash', [script], { detached: true, stdio: ['ignore', output, output] });
    closeSync(output);
    if (child.pid !== undefined) this.#groups.add(child.pid);
    return new Promise((resolve) => {
      child.once('error', () => resolve(false));
      child.once('exit', (code) => {
        this.#groups.delete(child.pid);
        // What it left running.
        signalGroup(child.pid, 'SIGTERM');
        resolve(code === 0);
      });
    });
  }
}

function signalGroup(group, signal) {
  try {
    process.kill(-group, signal);
  } catch (error) {
    // It ended meanwhile.
    if (error.code !== 'ESRCH') throw error;
  }
}
