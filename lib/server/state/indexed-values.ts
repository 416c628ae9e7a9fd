/** All values below a prefix, in memory: at each look only those are read that have changed since the one before. */
import type { z } from 'zod';
import type { StateStore } from '../../store/store.js';
import { readJson, type Versioned } from './json-state.js';

export class IndexedValues<T> {
  readonly #known = new Map<string, Versioned<T>>();

  constructor(
    private readonly state: StateStore,
    private readonly schema: z.ZodType<T>,
    private readonly prefix: string,
  ) {}

  /**
   * What was stored before this is called, by key. The caller does not keep it.
   *
   * @param below a prefix below the index's own, to look at these alone
   * @throws as the store does
   */
  async read(below = this.prefix): Promise<ReadonlyMap<string, Versioned<T>>> {
    const present = new Map<string, Versioned<T>>();
    for await (const { key, revision } of this.state.list(below)) {
      const known = this.#known.get(key);
      const current =
        known !== undefined && known.revision >= revision
          ? known
          : await readJson(this.state, this.schema, key);
      if (current !== undefined) present.set(key, current);
    }
    for (const key of this.#known.keys()) {
      if (key.startsWith(`${below}.`) && !present.has(key)) this.#known.delete(key);
    }
    for (const [key, value] of present) this.#known.set(key, value);
    return present;
  }
}
