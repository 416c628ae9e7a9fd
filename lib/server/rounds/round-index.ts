/**
 * Every round at a glance, in memory: what listings and agents ask for all the time, without reading rounds again that have not
 * changed. Rebuilt from the store by each process, and compared with its revisions at every refresh.
 */
import { outstandingEffects } from '../../round/machine/effects.js';
import type { RoundState } from '../../round/machine/state.js';
import type { StateStore } from '../../store/store.js';
import { type RoundSummary, roundSummary } from './round-status.js';
import { keyOf } from './stored-round.js';

/** Rounds that were closed, of which somebody is told that they were. */
const MAX_CLOSED = 16;

export interface IndexedRound {
  readonly plan: string;
  readonly state: RoundState;
  /** Whether no later round of its fleet, policy and cohort is known. */
  readonly isNewest: boolean;
}

export interface ClosedRound {
  readonly plan: string;
  readonly opensAtMs: number;
}

interface Known {
  readonly revision: number;
  readonly summary: RoundSummary;
  /** Gone where nobody has anything to do about the round any more: a state of a thousand members is large. */
  readonly state: RoundState | undefined;
}

export class RoundIndex {
  readonly #known = new Map<string, Known>();
  /** The plan of the latest round of each sequence, whose state is kept. */
  readonly #newest = new Map<string, { readonly plan: string; readonly state: RoundState }>();
  readonly #closed: ClosedRound[] = [];
  readonly #closedOf = new Map<string, ClosedRound[]>();

  /** @param load a round with its revision, as it is stored now */
  constructor(
    private readonly store: StateStore,
    private readonly load: (
      plan: string,
    ) => Promise<{ readonly revision: number; readonly state: RoundState } | undefined>,
  ) {}

  /** Takes in what has changed; what was stored before this is called is in the index afterwards. @throws as the store does */
  async refresh(): Promise<void> {
    const prefix = keyOf('round');
    for await (const { key, revision } of this.store.list(prefix)) {
      const plan = key.slice(prefix.length + 1);
      if ((this.#known.get(plan)?.revision ?? -1) >= revision) continue;
      const loaded = await this.load(plan);
      if (loaded !== undefined) this.#take(plan, loaded.revision, loaded.state);
    }
  }

  /** All rounds, the latest first. */
  summaries(): RoundSummary[] {
    return [...this.#known.values()]
      .map(({ summary }) => summary)
      .sort((a, b) => b.opensAtMs - a.opensAtMs || b.round - a.round);
  }

  /** Rounds about which somebody has something to do, and the newest of each sequence. */
  current(): IndexedRound[] {
    const found = new Map<string, IndexedRound>();
    for (const [plan, { state }] of this.#known) {
      if (state !== undefined) found.set(plan, { plan, state, isNewest: false });
    }
    for (const { plan, state } of this.#newest.values()) found.set(plan, { plan, state, isNewest: true });
    return [...found.values()];
  }

  /** The rounds with a close record that opened last: those that this client might send to, or all without one. */
  closed(client?: string): readonly ClosedRound[] {
    return client === undefined ? this.#closed : (this.#closedOf.get(client) ?? []);
  }

  #take(plan: string, revision: number, state: RoundState): void {
    // Another refresh may have been faster.
    if ((this.#known.get(plan)?.revision ?? -1) >= revision) return;
    const kept = isSettled(state) ? undefined : state;
    this.#known.set(plan, { revision, summary: roundSummary(plan, state), state: kept });
    const { key, opensAtMs } = state.settings;
    const sequence = JSON.stringify([key.fleet, key.policy, key.cohort]);
    const newest = this.#newest.get(sequence)?.state.settings;
    const isNewer =
      newest === undefined ||
      key.round > newest.key.round ||
      (key.round === newest.key.round && opensAtMs >= newest.opensAtMs);
    if (isNewer) this.#newest.set(sequence, { plan, state });
    if (state.close === undefined) return;
    keepLatest(this.#closed, { plan, opensAtMs });
    for (const { client } of state.members) {
      const own = this.#closedOf.get(client) ?? [];
      keepLatest(own, { plan, opensAtMs });
      this.#closedOf.set(client, own);
    }
  }
}

/** Whether neither clients nor custodians nor the owner are asked for anything because of this round, whatever comes after it. */
function isSettled(state: RoundState): boolean {
  return (
    state.close !== undefined &&
    state.phase !== 'opened' &&
    !outstandingEffects(state).some(({ type }) => type === 'notify-owner')
  );
}

function keepLatest(list: ClosedRound[], round: ClosedRound): void {
  if (list.some(({ plan }) => plan === round.plan)) return;
  list.push(round);
  list.sort((a, b) => b.opensAtMs - a.opensAtMs);
  list.splice(MAX_CLOSED);
}
