/** Bringing a member's KEM keys into the states that the roster gives them. */
import { hex } from '../fields.js';
import type { TrustedRoster } from '../roster.js';
import type { KeyStore } from './key-store.js';

/** The KEM key that the roster lists for this member; clients' keys are not in the roster. */
function listedKem(store: KeyStore, { body }: Pick<TrustedRoster, 'body'>): Uint8Array | undefined {
  if (store.role === 'owner') return body.owner.kem;
  if (store.role === 'custodian') return body.custodians.find(({ id }) => id === store.id)?.kem;
  return undefined;
}

/**
 * The key that the roster lists becomes active; those of earlier epochs are deactivated, which still open what was sealed to
 * them; those of epochs whose rounds are all closed, as the owner says, are destroyed. Nothing where that is so already.
 */
export async function followRoster(
  store: KeyStore,
  roster: Pick<TrustedRoster, 'body' | 'fingerprint'>,
): Promise<void> {
  const listed = listedKem(store, roster);
  const current = listed && store.kemWith(listed);
  if (current?.epoch === undefined) return;
  // The owner's own keys are counted apart from the custodians' epochs, of which the roster speaks.
  const oldestOpen = store.role === 'owner' ? 0 : (roster.body.oldestOpenEpoch ?? 0);
  const why = `roster ${roster.body.version} ${hex(roster.fingerprint).slice(0, 16)}`;
  if (current.state === 'pre-activation') await store.transition(current.name, 'active', why);
  for (const { name, epoch, state } of store.keys()) {
    if (epoch === undefined || epoch >= current.epoch) continue;
    if (state === 'active') await store.transition(name, 'deactivated', why);
    if (state !== 'destroyed' && epoch < oldestOpen) {
      await store.destroy(name, `${why}: every round of its epoch is closed`);
    }
  }
}
