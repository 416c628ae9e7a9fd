import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'libsql';
import { createClientState, openClientState } from '../../lib/custody/client-state.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { bytes32 } from './support/bytes.js';

async function filledState(): Promise<{ directory: string; path: string }> {
  const directory = await temporaryDirectory();
  const state = await createClientState(directory);
  const round = { fleet: 'fleet', policy: 'policy', cohort: 'all', round: 1 };
  await state.claim({ ...round, plan: bytes32('plan'), deltaDigest: bytes32('delta') });
  state.close();
  return { directory, path: join(directory, 'client-state.sqlite') };
}

describe("the client's state, damaged", () => {
  it('is refused without the index that keeps a delta to one plan', async () => {
    const { directory, path } = await filledState();
    const connection = new Database(path);
    connection.exec('DROP INDEX one_claim_of_a_delta');
    connection.close();
    await expectRefusal('client.state-corrupt', () => openClientState(directory));
  });

  it('is refused when it is the file of a ledger or a pin', async () => {
    const { directory, path } = await filledState();
    const connection = new Database(path);
    connection.exec(`PRAGMA application_id = ${0x7467_6c31}`);
    connection.close();
    await expectRefusal('client.state-corrupt', () => openClientState(directory));
  });

  it('is refused when it was emptied or cut', async () => {
    const { directory, path } = await filledState();
    await truncate(path, 4096);
    await expectRefusal('client.state-corrupt', () => openClientState(directory));
    await truncate(path, 0);
    await expectRefusal('client.state-corrupt', () => openClientState(directory));
  });
});
