import { join } from 'node:path';
import { expect } from 'chai';
import Database from 'libsql';
import { type SignedHead, signedHeadSchema } from '../../../lib/custody/keys/audit-trail.js';
import { requireWhole } from '../../../lib/custody/keys/audit-verification.js';
import { KeyStore } from '../../../lib/custody/keys/key-store.js';
import { expectRefusal } from '../../support/refusals.js';
import { newStore } from './support/stores.js';

/** A store with a few entries, its head exported after the fifth. */
async function trail(): Promise<{ readonly directory: string; readonly head: SignedHead }> {
  const { directory, store } = await newStore();
  await store.createKem(2, 'pre-activation');
  await store.transition('kem-2', 'active', 'test');
  const head = await store.exportAuditHead();
  await store.transition('kem-1', 'deactivated', 'test');
  await store.record('answer', { round: 'round 1', plan: 'ab' });
  await store.refuse({ code: 'custodian.bad-share' });
  store.close();
  return { directory, head };
}

/** Changes the database as somebody may who can write to the file. */
function tamper(directory: string, ...statements: string[]): void {
  const database = new Database(join(directory, 'keystore.sqlite'));
  database.exec('PRAGMA foreign_keys = OFF');
  for (const statement of statements) database.exec(statement);
  database.close();
}

async function verdict(directory: string, heads: readonly SignedHead[] = []) {
  const store = await KeyStore.open(directory);
  try {
    return await store.verifyAudit(heads);
  } finally {
    store.close();
  }
}

describe('an audit trail', () => {
  it('is whole when nobody touched it, and reaches the head that was exported', async () => {
    const { directory, head } = await trail();
    const whole = await verdict(directory, [head]);
    expect(whole).to.include({ entries: 8 }).and.not.to.have.property('bad');
    requireWhole(whole);
  });

  it('exports a head that is read back as it was signed', async () => {
    const { head } = await trail();
    expect(signedHeadSchema.parse(JSON.parse(JSON.stringify(head)))).to.deep.equal(head);
  });

  const edits: [what: string, sequence: number, ...statements: string[]][] = [
    [
      'a changed detail',
      7,
      `UPDATE audit_entry SET detail = '{"plan":"ab","round":"round 2"}' WHERE sequence = 7`,
    ],
    ['a changed kind', 8, "UPDATE audit_entry SET kind = 'answer' WHERE sequence = 8"],
    ['a changed time', 2, 'UPDATE audit_entry SET time_ms = time_ms + 1 WHERE sequence = 2'],
    ['another key named', 4, "UPDATE audit_entry SET key = 'kem-1' WHERE sequence = 4"],
    ['a deleted entry', 7, 'DELETE FROM audit_entry WHERE sequence = 7'],
    [
      'a deleted entry, the others moved up',
      7,
      'DELETE FROM audit_entry WHERE sequence = 7',
      'UPDATE audit_entry SET sequence = 7 WHERE sequence = 8',
    ],
    [
      'two entries in another order',
      7,
      'UPDATE audit_entry SET sequence = 99 WHERE sequence = 7',
      'UPDATE audit_entry SET sequence = 7 WHERE sequence = 8',
      'UPDATE audit_entry SET sequence = 8 WHERE sequence = 99',
    ],
    [
      'a signature of another entry',
      8,
      'UPDATE audit_entry SET signatures = (SELECT signatures FROM audit_entry WHERE sequence = 7) WHERE sequence = 8',
    ],
  ];
  for (const [what, sequence, ...statements] of edits) {
    it(`shows ${what}, and names entry ${sequence} as the first bad one`, async () => {
      const { directory } = await trail();
      tamper(directory, ...statements);
      const found = await verdict(directory);
      expect(found.bad?.sequence).to.equal(sequence);
      await expectRefusal('audit.bad-entry', () => requireWhole(found));
    });
  }

  it('shows that its end was cut off against a head that was exported, and not without', async () => {
    const { directory, head } = await trail();
    tamper(directory, 'DELETE FROM audit_entry WHERE sequence > 6');
    expect((await verdict(directory, [head])).bad).to.equal(undefined);
    const store = await KeyStore.open(directory);
    const later = await store.exportAuditHead();
    store.close();
    tamper(
      directory,
      'DELETE FROM audit_entry WHERE sequence > 5',
      "UPDATE key SET state = 'active', entry = 1 WHERE name = 'kem-1'",
    );
    expect((await verdict(directory)).bad).to.equal(undefined);
    const found = await verdict(directory, [later]);
    expect(found.bad?.sequence).to.equal(6);
    expect(found.bad?.reason).to.include('cut off');
  });

  it('shows a state that was changed in the key table alone', async () => {
    const { directory } = await trail();
    tamper(directory, "UPDATE key SET state = 'active' WHERE name = 'kem-1'");
    const found = await verdict(directory);
    expect(found.bad?.sequence).to.equal(6);
    expect(found.bad?.reason).to.include('kem-1').and.to.include('deactivated');
  });

  it('shows a key that the trail made and the table lacks, and one that the trail never made', async () => {
    const gone = await trail();
    tamper(gone.directory, "DELETE FROM key WHERE name = 'kem-2'");
    expect((await verdict(gone.directory)).bad?.reason).to.include('does not have it');
    const added = await trail();
    tamper(
      added.directory,
      "INSERT INTO key SELECT 'kem-9', purpose, 9, state, public_key, created_ms, wrapper, NULL, NULL, entry FROM key WHERE name = 'kem-1'",
    );
    expect((await verdict(added.directory)).bad?.reason).to.include('unmentioned');
  });

  for (const [column, value] of [
    ['kind', 'bogus'],
    ['detail', '{'],
    ['detail', '{"round":-1}'],
  ]) {
    it(`names an entry whose ${column} is none (${value}) as the first bad one`, async () => {
      const { directory } = await trail();
      tamper(directory, `UPDATE audit_entry SET ${column} = '${value}' WHERE sequence = 7`);
      const found = await verdict(directory);
      expect(found.bad?.sequence).to.equal(7);
      expect(found.bad?.reason).to.include('no entry');
    });
  }

  it('shows a public key that was exchanged in the key table', async () => {
    const { directory } = await trail();
    tamper(directory, "UPDATE key SET public_key = zeroblob(1216) WHERE name = 'kem-2'");
    const found = await verdict(directory);
    // Signing key and first KEM key are entries 1 and 2, the unwrapping of the former is 3.
    expect(found.bad?.sequence).to.equal(4);
    expect(found.bad?.reason).to.include('kem-2').and.to.include('public key');
  });

  it('shows an epoch floor that was lowered beside it, and one that nobody recorded', async () => {
    const { directory, store } = await newStore();
    await store.raiseEpochFloor(5, 'import');
    store.close();
    expect((await verdict(directory)).bad).to.equal(undefined);
    for (const floor of [0, 6]) {
      tamper(directory, `UPDATE store SET epoch_floor = ${floor}`);
      expect((await verdict(directory)).bad, String(floor)).to.include({ sequence: 4 });
    }
  });

  it('takes no entry that it could not read again', async () => {
    const { directory, store } = await newStore();
    await store.signing();
    const head = store.auditHead();
    await expectRefusal('audit.detail-too-long', () =>
      store.transition('kem-1', 'suspended', 'x'.repeat(17_000)),
    );
    expect(store.vault.row('kem-1').state).to.equal('active');
    expect(store.auditHead()).to.deep.equal(head);
    await store.transition('kem-1', 'suspended', 'x'.repeat(16_000));
    store.close();
    expect((await verdict(directory)).bad).to.equal(undefined);
  });

  it('takes no head of another role, no changed one, and no forged one', async () => {
    const { directory, head } = await trail();
    const other = await trail();
    const changes: [Partial<SignedHead>, string][] = [
      [{ id: 'custodian-2' }, 'of another id'],
      [{ sequence: head.sequence - 1 }, 'signature'],
      [{ hash: 'a'.repeat(64) }, 'signature'],
      [{ timeMs: head.timeMs + 1 }, 'signature'],
      [{ signatures: other.head.signatures }, 'signature'],
    ];
    for (const [change, reason] of changes) {
      const found = await verdict(directory, [{ ...head, ...change }]);
      expect(found.bad?.reason, reason).to.include(reason);
    }
    expect((await verdict(directory, [other.head])).bad?.reason).to.include('signature');
  });

  it('shows that it was rewritten, by the same key, since a head was exported', async () => {
    const { directory, head } = await trail();
    tamper(
      directory,
      'DELETE FROM audit_entry WHERE sequence > 4',
      "UPDATE key SET state = 'active', entry = 1 WHERE name = 'kem-1'",
      "UPDATE key SET state = 'pre-activation', entry = 4 WHERE name = 'kem-2'",
    );
    const store = await KeyStore.open(directory);
    for (let i = 0; i < 3; i += 1) await store.record('answer', { round: 'rewritten' });
    store.close();
    expect((await verdict(directory)).bad).to.equal(undefined);
    expect((await verdict(directory, [head])).bad?.reason).to.include('rewritten');
  });

  it('takes entries of two processes at once, in one chain', async () => {
    const { directory, store } = await newStore();
    const second = await KeyStore.open(directory);
    await Promise.all(
      [store, second, store, second].map((each, i) => each.record('answer', { round: `race ${i}` })),
    );
    expect((await store.verifyAudit()).entries).to.equal(8);
    expect((await store.verifyAudit()).bad).to.equal(undefined);
    second.close();
    store.close();
  });
});
