/** What a custodian says of its keys, from its key store: it needs no secret, and unlocks none. */
import { openBreakGlasses } from '../../custody/keys/break-glass.js';
import type { KeyRecord } from '../../custody/keys/key-store.js';
import { rotationState } from '../../custody/keys/rotation.js';
import { openKeyStore } from '../../custody/role-directory.js';
import {
  CUSTODY_STATUS_SCHEMA_VERSION,
  type CustodyStatus,
  MAX_LISTED_BREAK_GLASS,
  MAX_LISTED_KEYS,
} from '../../observability/custody-status.js';
import { hex } from '../../package/messages/common.js';
import { oneLine } from '../../package/one-line.js';
import { type RolePolicyOptions, readRolePolicy } from '../../round/role-policy.js';

const MAX_ROUND_CHARACTERS = 512;

/** @throws as `openKeyStore`; RefusedError `key.no-kem` */
export async function custodyStatus(
  directory: string,
  rolePolicy: RolePolicyOptions,
  nowMs: number,
): Promise<CustodyStatus> {
  const { keyRotationHours } = (await readRolePolicy(directory, rolePolicy)).policy.encryption;
  const store = await openKeyStore(directory, 'custodian');
  try {
    const { dueAtMs, pending } = rotationState(store, keyRotationHours);
    const { entries, head, bad } = await store.verifyAudit();
    return {
      schema: CUSTODY_STATUS_SCHEMA_VERSION,
      atMs: nowMs,
      keys: listed(store.keys()).map(({ name, epoch, state, createdMs, recoverable }) => ({
        ...{ name, state, createdMs, recoverable },
        ...(epoch !== undefined && { epoch }),
      })),
      rotation: { dueAtMs, pending },
      audit: { entries, head: hex(head), whole: bad === undefined },
      // The reason that officers gave is for the trail: it may say what the service need not know.
      openBreakGlass: openBreakGlasses(store)
        .slice(-MAX_LISTED_BREAK_GLASS)
        .map(({ entry, key, round }) => ({ entry, key, round: oneLine(round, MAX_ROUND_CHARACTERS) })),
    };
  } finally {
    store.close();
  }
}

/** The newest, and of these no destroyed one before one that is not. */
function listed(keys: readonly KeyRecord[]): readonly KeyRecord[] {
  const newestFirst = keys.toSorted((a, b) => b.createdMs - a.createdMs);
  const isGone = ({ state }: KeyRecord): number => (state === 'destroyed' ? 1 : 0);
  return newestFirst.toSorted((a, b) => isGone(a) - isGone(b)).slice(0, MAX_LISTED_KEYS);
}
