/**
 * How clients have done, round after round, in the store that all servers share: who comes first where a round holds fewer
 * than the fleet, and who is left out for the time being.
 */
import {
  byPriority,
  type ClientHealth,
  clientHealthSchema,
  observe,
  suspensionOf,
  withSuspension,
} from '../../round/health/client-health.js';
import type { Observation } from '../../round/health/observations.js';
import type { StateStore } from '../../store/store.js';
import { changeJson, createJson, readJson } from '../state/json-state.js';
import { HEALTH_PREFIX, keySegment } from '../state/keys.js';
import { keyOf as keyOfRound } from './stored-round.js';

export interface RoundObservations {
  /** Of the round: what is recorded of it is recorded once. */
  readonly plan: string;
  readonly policy: string;
  readonly round: number;
  readonly observations: readonly { readonly client: string; readonly kind: Observation }[];
}

export class HealthBook {
  constructor(private readonly state: StateStore) {}

  /**
   * Adds what clients did in a round. The same round again changes nothing, whoever died in the middle: a client that has it
   * already keeps what it has.
   */
  async record({ plan, policy, round, observations }: RoundObservations): Promise<void> {
    const done = keyOfRound('observed', plan);
    if ((await this.state.get(done)) !== undefined) return;
    for (const { client, kind } of observations) {
      await changeJson(this.state, clientHealthSchema, keyOf(policy, client), (health) => {
        const next = judged(observe(health, round, kind), round + 1);
        return next === health ? undefined : next;
      });
    }
    await createJson(this.state, done, { clients: observations.length });
  }

  async of(policy: string, client: string): Promise<ClientHealth | undefined> {
    return (await readJson(this.state, clientHealthSchema, keyOf(policy, client)))?.value;
  }

  /**
   * Who may send in a round, the healthiest first. Clients whose updates have not held lately are left out, unless there are
   * fewer than the quorum without them: the round is then theirs to mend.
   */
  async eligible(
    policy: string,
    round: number,
    clients: readonly string[],
    quorum: number,
  ): Promise<readonly string[]> {
    const known = await Promise.all(
      clients.map(async (client) => ({ client, health: await this.of(policy, client) })),
    );
    const standing = known.filter(({ health }) => health === undefined || !judged(health, round).suspended);
    return byPriority(standing.length >= quorum ? standing : known, round);
  }
}

/** A client's record with what its score proposes for `round`. */
function judged(health: ClientHealth, round: number): ClientHealth {
  const proposal = suspensionOf(health, round);
  return proposal === 'keep' ? health : withSuspension(health, proposal === 'suspend');
}

function keyOf(policy: string, client: string): string {
  return [HEALTH_PREFIX, keySegment(policy), keySegment(client)].join('.');
}
