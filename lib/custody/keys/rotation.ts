/** When a role's KEM key is due for the next epoch, and making that one. */
import { RefusedError } from '../../errors.js';
import type { KeyRecord, KeyStore } from './key-store.js';

const MS_PER_HOUR = 3_600_000;

export interface RotationState {
  /** The key of the newest epoch. */
  readonly newest: KeyRecord;
  /** Milliseconds since 1970: when the newest key has had its time. Nobody should seal to a compromised one: it is due at once. */
  readonly dueAtMs: number;
  /** Made for the next epoch, and in no roster yet. */
  readonly pending: boolean;
}

/** @throws RefusedError `key.no-kem` for a role that nothing is sealed to */
export function rotationState(store: KeyStore, everyHours: number): RotationState {
  const newest = store.newestKem();
  if (newest === undefined) {
    throw new RefusedError(
      'key.no-kem',
      `${store.directory} has no KEM key: nothing is sealed to a ${store.role}.`,
    );
  }
  return {
    newest,
    dueAtMs: newest.createdMs + (isOver(newest) ? 0 : everyHours * MS_PER_HOUR),
    pending: newest.state === 'pre-activation',
  };
}

/** After break-glass that was cut off before its rotation, too. */
function isOver({ state }: KeyRecord): boolean {
  return state === 'compromised' || state === 'destroyed';
}

export interface Rotation {
  readonly key: KeyRecord;
  /** False where a key of the next epoch was waiting already: there is one at a time. */
  readonly made: boolean;
}

/**
 * Makes the key of the next epoch, or of a later one that the other custodians have had to go to: a key that waits for an
 * earlier one is destroyed then, since nothing was ever sealed to it. A custodian's waits for a roster that lists it; a client's is active at once,
 * since no roster names it, and the one before still opens what was sealed to it.
 */
export async function rotate(store: KeyStore, minEpoch = 1): Promise<Rotation> {
  const newest = store.newestKem();
  if (newest?.state === 'pre-activation') {
    if ((newest.epoch ?? 0) >= minEpoch) return { key: newest, made: false };
    await store.destroy(newest.name, `the custodians go to epoch ${minEpoch}`);
  }
  const epoch = Math.max((newest?.epoch ?? 0) + 1, store.epochFloor, minEpoch);
  if (store.role !== 'client') {
    return { key: await store.createKem(epoch, 'pre-activation', 'rotate'), made: true };
  }
  return { key: await store.createKem(epoch, 'active', 'succeed'), made: true };
}
