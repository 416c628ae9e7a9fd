/**
 * One plan for each round: of two that are sent for one fleet, policy, cohort and number, the first is opened. Custodians answer
 * for one set a round, so that the clients of the other would have sealed in vain.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { RoundKey } from '../../custody/round-key.js';
import type { StateStore } from '../../store/store.js';
import { changeJson, readJson } from '../state/json-state.js';
import { SLOT_PREFIX } from '../state/keys.js';

const slotSchema = z.strictObject({ plan: z.string().regex(/^[0-9a-f]{64}$/) });

/** Four names of 64 characters each, every one of which may double in a key, are more than a key holds. */
function keyOf({ fleet, policy, cohort, round }: RoundKey): string {
  const name = JSON.stringify([fleet, policy, cohort, round]);
  return `${SLOT_PREFIX}.${createHash('sha256').update(name).digest('hex')}`;
}

export class RoundSlots {
  constructor(private readonly state: StateStore) {}

  /** @returns the plan that the round has; `plan` where it had none */
  async take(key: RoundKey, plan: string): Promise<string> {
    const taken = await changeJson(this.state, slotSchema, keyOf(key), (slot) =>
      slot === undefined ? { plan } : undefined,
    );
    return taken?.plan ?? plan;
  }

  /** Gives the round to `plan` where `former` can never be opened. @returns the plan that the round has then */
  async replace(key: RoundKey, former: string, plan: string): Promise<string> {
    const taken = await changeJson(this.state, slotSchema, keyOf(key), (slot) =>
      slot?.plan === former ? { plan } : undefined,
    );
    return taken?.plan ?? plan;
  }

  async of(key: RoundKey): Promise<string | undefined> {
    return (await readJson(this.state, slotSchema, keyOf(key)))?.value.plan;
  }
}
