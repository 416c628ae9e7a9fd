/** A custodian's directory, opened for answering. */
import { join } from 'node:path';
import { RefusedError } from '../errors.js';
import type { CustodianIdentity } from './custodian.js';
import { kemName } from './keys/key-store.js';
import { openLedger } from './ledger.js';
import { LEDGER_FILE, type OpenedRole, openRole } from './role-directory.js';

export interface OpenedCustodian {
  readonly role: OpenedRole;
  readonly custodian: CustodianIdentity;
  close(): void;
}

/** The caller closes it. @throws as `openRole` and `openLedger` do */
export async function openCustodian(directory: string): Promise<OpenedCustodian> {
  const role = await openRole(directory, 'custodian');
  const { id, store, signing } = role;
  try {
    const ledger = await openLedger(join(directory, LEDGER_FILE));
    return {
      role,
      custodian: {
        id,
        signing,
        ledger,
        epochKey: (epoch, what) => {
          const key = store.keys().find(({ name }) => name === kemName(epoch));
          if (key === undefined || key.state === 'destroyed') throw noEpochKey(id, epoch);
          return store.kem(key.name, what);
        },
        record: (act, detail) => store.record(act, detail),
      },
      close() {
        ledger.close();
        role.close();
      },
    };
  } catch (error) {
    role.close();
    throw error;
  }
}

export function noEpochKey(custodian: string, epoch: number): RefusedError {
  return new RefusedError(
    'custodian.no-epoch-key',
    `Custodian "${custodian}" holds no key of epoch ${epoch}: it was destroyed when the epoch ended, or never was here.`,
  );
}
