/** A round as it is seen from outside, all the time: what may never be seen is noted when it is. */
import { isBefore } from '../../lib/round/machine/phases.js';
import type { RoundStatus } from '../../lib/server/rounds/round-status.js';

export class RoundWatch {
  readonly violations: string[] = [];
  readonly #aggregates = new Set<string>();
  readonly #records = new Set<string>();
  #phase: RoundStatus['phase'] = 'planned';

  /** One look after the other: here no answer can have overtaken another. */
  seeNext(status: RoundStatus): void {
    if (isBefore(status.phase, this.#phase)) this.#note(`went back from ${this.#phase} to ${status.phase}`);
    this.#phase = status.phase;
    this.see(status);
  }

  see({ aggregate, close, received }: RoundStatus): void {
    if (aggregate !== undefined) this.#aggregates.add(aggregate.fingerprint);
    if (close !== undefined) this.#records.add(close.record);
    if (this.#aggregates.size > 1) this.#note(`has ${this.#aggregates.size} aggregates`);
    if (this.#records.size > 1) this.#note(`was opened ${this.#records.size} times`);
    if (new Set(received.map(({ client }) => client)).size !== received.length) {
      this.#note('counts a client twice');
    }
  }

  #note(what: string): void {
    if (!this.violations.includes(what)) this.violations.push(what);
  }
}
