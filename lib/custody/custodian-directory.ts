/** A custodian's directory, opened for answering. */
import { join } from 'node:path';
import { RefusedError } from '../errors.js';
import { keyIdOf, SIGNATURE_ALGORITHMS } from '../package/keys.js';
import type { SigningKey } from '../package/signing-key.js';
import type { CustodianIdentity } from './custodian.js';
import type { KeyState } from './keys/key-states.js';
import { type KeyStore, kemName } from './keys/key-store.js';
import { openLedger } from './ledger.js';
import { LEDGER_FILE, type LockedRole, openLockedRole } from './role-directory.js';

export interface OpenedCustodian {
  readonly role: LockedRole;
  readonly custodian: CustodianIdentity;
  close(): void;
}

/** No key is unwrapped before something is to be signed or opened. The caller closes it. @throws as `openRole` and `openLedger` do */
export async function openCustodian(directory: string): Promise<OpenedCustodian> {
  const role = await openLockedRole(directory, 'custodian');
  const { id, store } = role;
  try {
    const ledger = await openLedger(join(directory, LEDGER_FILE));
    return {
      role,
      custodian: {
        id,
        signing: signingOf(store),
        ledger,
        givesAgain: (epoch) => givesAgain(store, epoch),
        epochKey: (epoch, what) => {
          const key = store.keys().find(({ name }) => name === kemName(epoch));
          if (key === undefined || key.state === 'destroyed') throw noEpochKey(id, epoch);
          return store.kem(key.name, what);
        },
        record: (detail) => store.record('answer', detail),
        refuse: (detail) => store.refuse(detail),
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

/** Unlocked when it first signs: what is refused before must cost no unwrapping, however much of it is sent. */
function signingOf(store: KeyStore): SigningKey {
  const { publicKeys } = store;
  return {
    keyId: keyIdOf(publicKeys),
    publicKeys,
    algorithms: SIGNATURE_ALGORITHMS.filter((algorithm) => publicKeys[algorithm] !== undefined),
    sign: async (algorithm, message) => (await store.signing()).sign(algorithm, message),
  };
}

/** Nothing is opened for that, so that a compromised key is no obstacle; what an operator suspended or destroyed is one. */
function givesAgain(store: KeyStore, epoch: number): boolean {
  const state = store.keys().find(({ name }) => name === kemName(epoch))?.state;
  return epoch >= store.epochFloor && state !== undefined && GIVEN_AGAIN.includes(state);
}

const GIVEN_AGAIN: readonly KeyState[] = ['active', 'deactivated', 'compromised'];

export function noEpochKey(custodian: string, epoch: number): RefusedError {
  return new RefusedError(
    'custodian.no-epoch-key',
    `Custodian "${custodian}" holds no key of epoch ${epoch}: it was destroyed when the epoch ended, or never was here.`,
  );
}
