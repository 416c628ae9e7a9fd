/** A round as it is seen from outside, all the time: what may never be seen is noted when it is. */
import { isBefore } from '../../lib/round/machine/phases.js';
import type { RoundStatus } from '../../lib/server/rounds/round-status.js';

export class RoundWatch {
  readonly violations: string[] = [];
  readonly #aggregates = new Set<string>();
  readonly #records = new Set<string>();
  #phase: RoundStatus['phase'] = 'planned';

  see(status: RoundStatus): RoundStatus {
    const { phase, aggregate, close } = status;
    // Answers overtake each other; those of a round that goes back would not be overtaken by the next look.
    if (isBefore(phase, this.#phase)) this.#note(`went back from ${this.#phase} to ${phase}`);
    this.#phase = phase;
    if (aggregate !== undefined) this.#aggregates.add(aggregate.fingerprint);
    if (close !== undefined) this.#records.add(close.record);
    if (this.#aggregates.size > 1) this.#note(`has ${this.#aggregates.size} aggregates`);
    if (this.#records.size > 1) this.#note(`was opened ${this.#records.size} times`);
    const clients = new Set(status.received.map(({ client }) => client));
    if (clients.size !== status.received.length) this.#note('counts a client twice');
    return status;
  }

  #note(what: string): void {
    if (!this.violations.includes(what)) this.violations.push(what);
  }
}
