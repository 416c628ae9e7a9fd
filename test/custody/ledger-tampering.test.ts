import { stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import Database from 'libsql';
import { createLedger, openLedger } from '../../lib/custody/ledger.js';
import { VerificationError } from '../../lib/errors.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { bytes32 } from './support/bytes.js';

/** A closed ledger of three rounds, the second claimed and not answered: entries 1 to 5. */
async function filledLedger(): Promise<string> {
  const path = join(await temporaryDirectory(), 'ledger.sqlite');
  const ledger = await createLedger(path);
  for (const round of [1, 2, 3]) {
    const request = {
      ...{ fleet: 'fleet', policy: 'policy', cohort: 'all', round },
      plan: bytes32(`plan ${round}`),
      set: bytes32(`set ${round}`),
      updates: [bytes32(`a ${round}`), bytes32(`b ${round}`)],
    };
    const answer = async () => {
      if (round === 2) throw new Error('not answered');
      return new Uint8Array(5000).fill(round);
    };
    await ledger.answerOnce(request, answer).catch(() => undefined);
  }
  ledger.close();
  return path;
}

function tamper(path: string, statements: readonly string[]): void {
  const connection = new Database(path);
  connection.exec('PRAGMA foreign_keys = OFF');
  for (const statement of statements) connection.exec(statement);
  connection.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  connection.close();
}

const other = `x'${'ab'.repeat(32)}'`;

describe('a ledger that was tampered with', () => {
  it('opens when it was not', async () => {
    const path = await filledLedger();
    tamper(path, ['UPDATE claim SET round = round']);
    const ledger = await openLedger(path);
    ledger.close();
  });

  for (const [what, ...statements] of [
    ['a round of a claim is changed', 'UPDATE claim SET round = 99 WHERE entry = 1'],
    ['a fleet is changed', "UPDATE claim SET fleet = 'x' WHERE entry = 1"],
    ['a policy is changed', "UPDATE claim SET policy = 'x' WHERE entry = 3"],
    ['a cohort is changed', "UPDATE claim SET cohort = 'x' WHERE entry = 4"],
    ['a plan is changed', `UPDATE claim SET plan = ${other} WHERE entry = 1`],
    ['a set is changed', `UPDATE claim SET set_fingerprint = ${other} WHERE entry = 1`],
    ['the last claim is changed', `UPDATE claim SET plan = ${other} WHERE entry = 4`],
    [
      'an update is exchanged',
      `UPDATE claimed_update SET fingerprint = ${other} WHERE fingerprint IN (SELECT MIN(fingerprint) FROM claimed_update)`,
    ],
    ['an update is freed', 'DELETE FROM claimed_update WHERE claim = 1'],
    ['an update is added', `INSERT INTO claimed_update VALUES (${other}, 1)`],
    ['an update moves to another claim', 'UPDATE claimed_update SET claim = 3 WHERE claim = 1'],
    ['an answer is changed', "UPDATE answer SET bytes = x'00' WHERE claim = 1"],
    ['an answer moves to another claim', 'UPDATE answer SET claim = 3 WHERE claim = 1'],
    ['an answer is dropped', 'DELETE FROM answer WHERE claim = 1'],
    [
      'an answer is dropped with its entry',
      'DELETE FROM answer WHERE entry = 2',
      'DELETE FROM entry WHERE sequence = 2',
    ],
    [
      'a claim is dropped from the middle, with all that belongs to it',
      'DELETE FROM claimed_update WHERE claim = 3',
      'DELETE FROM claim WHERE entry = 3',
      'DELETE FROM entry WHERE sequence = 3',
    ],
    [
      'the entries after a dropped one are renumbered',
      'DELETE FROM claimed_update WHERE claim = 3',
      'DELETE FROM claim WHERE entry = 3',
      'DELETE FROM entry WHERE sequence = 3',
      'UPDATE entry SET sequence = sequence - 1 WHERE sequence > 3',
      'UPDATE claimed_update SET claim = 3 WHERE claim = 4',
      'UPDATE claim SET entry = 3 WHERE entry = 4',
      'UPDATE answer SET entry = 4, claim = 3 WHERE entry = 5',
    ],
    [
      'the first claim is dropped',
      'DELETE FROM claimed_update WHERE claim = 1',
      'DELETE FROM answer WHERE claim = 1',
      'DELETE FROM claim WHERE entry = 1',
      'DELETE FROM entry WHERE sequence <= 2',
    ],
    ['the last entry is dropped, its answer left', 'DELETE FROM entry WHERE sequence = 5'],
    ['a head is changed', `UPDATE entry SET head = ${other} WHERE sequence = 5`],
    ['an entry stands for nothing', `INSERT INTO entry VALUES (6, ${other})`],
    ['a claim has no entry', "INSERT INTO claim VALUES (6, 'f', 'p', 'c', 1, x'', x'')"],
    ['the claims are emptied', 'DELETE FROM claim'],
  ] as const) {
    it(`is refused when ${what}`, async () => {
      const path = await filledLedger();
      tamper(path, statements);
      const error = await expectRefusal('ledger.corrupt', () => openLedger(path));
      expect(error).to.be.instanceOf(VerificationError);
      expect(error.message).to.contain('new keys');
    });
  }

  it('is refused when a round is no longer unique', async () => {
    const path = await filledLedger();
    tamper(path, [
      `CREATE TABLE loose (entry INTEGER PRIMARY KEY, fleet TEXT NOT NULL, policy TEXT NOT NULL,
        cohort TEXT NOT NULL, round INTEGER NOT NULL, plan BLOB NOT NULL, set_fingerprint BLOB NOT NULL) STRICT`,
      'INSERT INTO loose SELECT * FROM claim',
      'DROP TABLE claim',
      'ALTER TABLE loose RENAME TO claim',
    ]);
    await expectRefusal('ledger.corrupt', () => openLedger(path));
  });

  it('is refused when the file is cut short', async () => {
    const path = await filledLedger();
    const { size } = await stat(path);
    for (const kept of [size - 4096, 4096, 100, 0]) {
      await truncate(path, kept);
      await expectRefusal('ledger.corrupt', () => openLedger(path));
    }
  });

  it('is refused when it is another kind of file', async () => {
    const path = join(await temporaryDirectory(), 'ledger.sqlite');
    await writeFile(path, 'a text', { mode: 0o600 });
    await expectRefusal('ledger.corrupt', () => openLedger(path));
  });

  it('answers nothing when its last entry disappears while it is open', async () => {
    const path = await filledLedger();
    const ledger = await openLedger(path);
    tamper(path, ['DELETE FROM entry WHERE sequence >= 4']);
    const request = {
      ...{ fleet: 'fleet', policy: 'policy', cohort: 'all', round: 9 },
      plan: bytes32('plan'),
      set: bytes32('set'),
      updates: [bytes32('update')],
    };
    let computed = false;
    await expectRefusal('ledger.corrupt', () =>
      ledger.answerOnce(request, async () => {
        computed = true;
        return new Uint8Array(1);
      }),
    );
    expect(computed).to.equal(false);
    ledger.close();
  });
});
