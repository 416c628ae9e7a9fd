/** Custodians and owners whose keys are in memory, lent as a key store lends them. */
import type { CustodianIdentity } from '../../../lib/custody/custodian.js';
import { noEpochKey } from '../../../lib/custody/custodian-directory.js';
import type { Ledger } from '../../../lib/custody/ledger.js';
import { SecretBytes } from '../../../lib/custody/secret-bytes.js';
import { EPOCH, type ReceivingMember } from '../../round/support/members.js';

export interface RecordedAct {
  readonly act: 'answer' | 'refuse';
  readonly detail: Readonly<Record<string, string | number>>;
}

/** A copy each time: who borrows a key wipes it. */
export function lend(secret: SecretBytes): SecretBytes {
  return new SecretBytes(secret.use((bytes) => Uint8Array.from(bytes)));
}

/** @param acts takes what the custodian records */
export function custodianOf(
  { id, signing, kem }: ReceivingMember,
  ledger: Ledger,
  acts: RecordedAct[] = [],
): CustodianIdentity {
  return {
    id,
    signing,
    ledger,
    epochKey: async (epoch) => {
      if (epoch !== EPOCH) throw noEpochKey(id, epoch);
      return lend(kem);
    },
    record: async (detail) => {
      acts.push({ act: 'answer', detail });
    },
    refuse: async (detail) => {
      acts.push({ act: 'refuse', detail });
    },
  };
}

/** What an owner opens answers with. */
export function kemKeyOf({ kem }: ReceivingMember): () => Promise<SecretBytes> {
  return async () => lend(kem);
}
