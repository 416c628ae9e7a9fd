import { stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import Database from 'libsql';
import { createLedger } from '../../lib/custody/ledger.js';
import { VerificationError } from '../../lib/errors.js';
import { createPrivacyLedger, openPrivacyLedger } from '../../lib/privacy/privacy-ledger.js';
import { bytes32 } from '../custody/support/bytes.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { release } from './support/releases.js';

async function filledLedger(releases = 3): Promise<string> {
  const path = join(await temporaryDirectory(), 'privacy.sqlite');
  const ledger = await createPrivacyLedger(path);
  for (let round = 1; round <= releases; round += 1) {
    ledger.spend({
      ...{ plan: bytes32(`plan ${round}`), fleet: 'fleet', policy: 'policy', round, client: 'client' },
      ...{ release: release(), samplerDelta: 1e-13 },
      budget: { epsilon: 100, delta: 1e-5, hardStop: true },
    });
  }
  ledger.close();
  return path;
}

function tamper(path: string, statements: readonly string[]): void {
  const connection = new Database(path);
  for (const statement of statements) connection.exec(statement);
  connection.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  connection.close();
}

async function expectCorrupt(path: string): Promise<void> {
  const error = await expectRefusal('privacy.ledger-corrupt', () => openPrivacyLedger(path));
  expect(error).to.be.instanceOf(VerificationError);
  expect(error.message).to.contain('whole budget as spent');
}

describe('a privacy ledger that was tampered with', () => {
  it('opens when it was not', async () => {
    const path = await filledLedger();
    tamper(path, ['UPDATE spend SET round = round']);
    (await openPrivacyLedger(path)).close();
  });

  for (const [what, ...statements] of [
    ['more noise is claimed', 'UPDATE spend SET client_variance = 1000000 WHERE entry = 2'],
    ['more honest clients are claimed', 'UPDATE spend SET honest = 500 WHERE entry = 1'],
    ['less sensitivity is claimed', 'UPDATE spend SET l2_squared = 1 WHERE entry = 3'],
    ['a dimension is changed', 'UPDATE spend SET dimension = 1 WHERE entry = 3'],
    ['the draws are changed', 'UPDATE spend SET draws = 2 WHERE entry = 3'],
    ['a mechanism is changed', "UPDATE spend SET mechanism = 'discrete-gaussian' WHERE entry = 1"],
    ['a mechanism is none', "UPDATE spend SET mechanism = 'none' WHERE entry = 1"],
    ['a distance is changed', 'UPDATE spend SET sampler_delta = 0 WHERE entry = 1'],
    ['a count is negative', 'UPDATE spend SET l2_squared = -1 WHERE entry = 1'],
    ['a plan is changed', `UPDATE spend SET plan = x'${'ab'.repeat(32)}' WHERE entry = 1`],
    ['a fleet is changed', "UPDATE spend SET fleet = 'x' WHERE entry = 1"],
    ['a policy is changed', "UPDATE spend SET policy = 'x' WHERE entry = 1"],
    ['a round is changed', 'UPDATE spend SET round = 9 WHERE entry = 1'],
    ['a head is changed', `UPDATE spend SET head = x'${'ab'.repeat(32)}' WHERE entry = 3`],
    ['an entry is dropped from the middle', 'DELETE FROM spend WHERE entry = 2'],
    [
      'the entries after a dropped one are renumbered',
      'DELETE FROM spend WHERE entry = 2',
      'UPDATE spend SET entry = 2 WHERE entry = 3',
    ],
    ['the first entry is dropped', 'DELETE FROM spend WHERE entry = 1'],
    [
      'a plan is no longer unique',
      'CREATE TABLE copy AS SELECT * FROM spend',
      'DROP TABLE spend',
      'ALTER TABLE copy RENAME TO spend',
    ],
    ['it says that it is another kind of file', 'PRAGMA application_id = 1'],
  ] as const) {
    it(`is refused when ${what}`, async () => {
      const path = await filledLedger();
      tamper(path, statements);
      await expectCorrupt(path);
    });
  }

  it('is refused when it was truncated, wherever', async () => {
    const whole = (await stat(await filledLedger(40))).size;
    for (const share of [0, 0.1, 0.3, 0.5, 0.9]) {
      const path = await filledLedger(40);
      await truncate(path, Math.floor(whole * share));
      await expectCorrupt(path);
    }
  });

  it('is refused when it is no database, or a custodian ledger', async () => {
    const path = join(await temporaryDirectory(), 'privacy.sqlite');
    await writeFile(path, 'spent: nothing\n'.repeat(500), { mode: 0o600 });
    await expectCorrupt(path);
    const other = join(await temporaryDirectory(), 'ledger.sqlite');
    (await createLedger(other)).close();
    await expectCorrupt(other);
  });
});
