/**
 * What rounds lose, carried to the next: a client's residual, and which rounds may have it.
 *
 * The client's database says what became of an update; the store follows it. A change is published before its update is
 * recorded, so that no recorded update is without one, and what a crash leaves in between is removed once it is old.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { ClientState } from '../custody/client-state.js';
import type { PlanBody } from '../package/messages/plan.js';
import { ResidualStore } from '../pipeline/residual/residual-store.js';
import { sentElements, tensorPlaces } from '../pipeline/value-layout.js';

const SCHEMA_KEY_LABEL = 'tensorguard-native v1 residual\0';

export const RESIDUAL_DIRECTORY = 'residual';

export async function openResiduals(clientDirectory: string): Promise<ResidualStore> {
  return ResidualStore.open(join(clientDirectory, RESIDUAL_DIRECTORY));
}

/** What a residual belongs to: the adapter's schema, which of its tensors are sent, and in which order. */
export function residualShape(plan: PlanBody): {
  readonly policy: string;
  readonly schemaKey: Uint8Array;
  readonly valueCount: number;
} {
  const schemaKey = createHash('sha256')
    .update(SCHEMA_KEY_LABEL)
    .update(plan.adapterSchema)
    .update(JSON.stringify(plan.tensors.map(({ name, shape, dtype }) => [name, shape, dtype])), 'utf8')
    .digest();
  return { policy: plan.policy, schemaKey, valueCount: sentElements(tensorPlaces(plan)) };
}

/**
 * Brings the store in line with the database: changes of opened updates are added to the residual, those of rounds that
 * were closed without them are removed. Called before every seal and after every close record; both may be repeated.
 *
 * @throws VerificationError `residual.corrupt`; EnvironmentError `storage.*`
 */
export async function settleResiduals(store: ResidualStore, state: ClientState): Promise<void> {
  for (const update of await store.pending()) {
    const became = state.updateState(update);
    if (became === 'opened') await store.commit(update);
    else if (became === 'released') await store.discard(update);
    else if (became === undefined) await store.discardAbandoned(update);
  }
}

/**
 * Starts a policy's residual from zero, whatever its file holds. The changes of its rounds go as well: one of a round that
 * had the residual would take it off again, and one that cannot be read would stop this client at every seal.
 *
 * @returns where the file of the residual is now, if there was one: it is renamed, and deleting it is left to its owner
 * @throws EnvironmentError `storage.*`
 */
export async function resetResidual(store: ResidualStore, policy: string): Promise<string | undefined> {
  await store.discardAll(policy);
  return store.reset(policy);
}
