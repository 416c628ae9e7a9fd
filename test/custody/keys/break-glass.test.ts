import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import Database from 'libsql';
import { createRecovery, type OfficerShare } from '../../../lib/custody/break-glass/officer-shares.js';
import { sealRecoveryCopy } from '../../../lib/custody/break-glass/recovery-copy.js';
import { encodeRecoveryDescription } from '../../../lib/custody/break-glass/recovery-description.js';
import { generateKemKey, kemPublicKey } from '../../../lib/custody/hpke.js';
import {
  type BreakGlassRequest,
  breakGlass,
  closeBreakGlass,
  openBreakGlasses,
  setUpRecovery,
} from '../../../lib/custody/keys/break-glass.js';
import { KeyStore } from '../../../lib/custody/keys/key-store.js';
import { recoveryBinding, recoveryDescription } from '../../../lib/custody/keys/recovery-files.js';
import type { RoundKey } from '../../../lib/custody/round-key.js';
import { expectRefusal } from '../../support/refusals.js';
import { bytes32 } from '../support/bytes.js';
import { CUSTODIAN, newStore } from './support/stores.js';

const OFFICERS = ['ada', 'grace', 'emmy'];

const roundOf = (round: number): RoundKey => ({ fleet: 'acme', policy: 'pick', cohort: 'all', round });

function request(
  shares: readonly OfficerShare[],
  changes: Partial<BreakGlassRequest> = {},
): BreakGlassRequest {
  return {
    key: 'kem-1',
    round: roundOf(7),
    plan: bytes32('plan'),
    reason: 'the HSM burnt',
    shares: shares.slice(0, 2),
    ...changes,
  };
}

/** A custodian's store with three officers, of whom it takes two. */
async function armed() {
  const { directory, store } = await newStore();
  const shares = await setUpRecovery(store, { officers: OFFICERS, threshold: 2 });
  return { directory, store, shares };
}

/** What the trail says, without what was there before. */
function recorded(store: KeyStore, after = 0) {
  return store.vault.trail.entries(after).map(({ kind, key, detail }) => ({ kind, key, detail }));
}

function stateOf(store: KeyStore, name = 'kem-1') {
  const row = store.vault.row(name);
  return {
    state: row.state,
    wrapped: row.secret_file !== null,
    copy: row.recovery_file !== null,
  };
}

async function filesOf(directory: string, prefix: string): Promise<string[]> {
  return (await readdir(join(directory, 'keys'))).filter((file) => file.startsWith(prefix));
}

async function expectWhole(store: KeyStore): Promise<void> {
  expect((await store.verifyAudit()).bad).to.equal(undefined);
}

/** Changes the database as somebody may who can write to the file. */
function tamper(directory: string, sql: string, ...values: unknown[]): void {
  const database = new Database(join(directory, 'keystore.sqlite'));
  database.prepare(sql).run(...values);
  database.close();
}

/** Puts a copy of another secret in place of the officers' one, sealed as the key store seals. */
async function exchangeCopy(store: KeyStore): Promise<void> {
  const description = await recoveryDescription(store.vault);
  if (description === undefined) throw new Error('there are no officers');
  const { seed } = await generateKemKey();
  const blob = await sealRecoveryCopy(
    description,
    recoveryBinding(store.vault, { name: 'kem-1', epoch: 1 }),
    seed,
  );
  const [file = ''] = await filesOf(store.directory, 'kem-1.recovery.');
  const path = join(store.directory, 'keys', file);
  const document = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
  await writeFile(path, JSON.stringify({ ...document, blob: Buffer.from(blob).toString('base64') }));
}

describe('break-glass', () => {
  it('unlocks the key, which is compromised from then on and whose wrapped file is gone', async () => {
    const { directory, store, shares } = await armed();
    const before = store.auditHead().sequence;
    const secret = await breakGlass(store, request(shares));
    expect(await secret.use(kemPublicKey)).to.deep.equal(store.newestKem()?.publicKey);
    secret.wipe();
    expect(stateOf(store)).to.deep.equal({ state: 'compromised', wrapped: false, copy: true });
    expect(await filesOf(directory, 'kem-1.')).to.have.length(1);
    expect(await filesOf(directory, 'kem-1.recovery.')).to.have.length(1);
    expect(recorded(store, before)).to.deep.equal([
      {
        kind: 'break-glass',
        key: 'kem-1',
        detail: {
          round: openBreakGlasses(store)[0]?.round,
          plan: Buffer.from(bytes32('plan')).toString('hex'),
          reason: 'the HSM burnt',
          officers: 'ada, grace',
        },
      },
    ]);
    await expectRefusal('key.state-refuses', () => store.kem('kem-1', 'round 7'));
    await expectWhole(store);
    store.close();
  });

  it('is on the trail, and the key compromised, even where the copy then does not open', async () => {
    const { directory, store, shares } = await armed();
    const [file = ''] = await filesOf(directory, 'kem-1.recovery.');
    const path = join(directory, 'keys', file);
    const document = JSON.parse(await readFile(path, 'utf8')) as { blob: string };
    const blob = Buffer.from(document.blob, 'base64');
    blob[1130] = (blob[1130] as number) ^ 1;
    await writeFile(path, JSON.stringify({ ...document, blob: blob.toString('base64') }));
    await expectRefusal('break-glass.bad-copy', () => breakGlass(store, request(shares)));
    expect(recorded(store).at(-1)).to.include({ kind: 'break-glass', key: 'kem-1' });
    expect(stateOf(store).state).to.equal('compromised');
    expect(openBreakGlasses(store)).to.have.length(1);
    await expectWhole(store);
    store.close();
  });

  it('takes no secret of another key for the one that was asked for', async () => {
    const { store, shares } = await armed();
    await exchangeCopy(store);
    await expectRefusal('key.wrong-secret', () => breakGlass(store, request(shares)));
    expect(recorded(store).at(-1)?.kind).to.equal('break-glass');
    store.close();
  });

  it('is a ceremony for each round, with an entry for each', async () => {
    const { store, shares } = await armed();
    (await breakGlass(store, request(shares))).wipe();
    await expectRefusal('break-glass.too-few-shares', () =>
      breakGlass(store, request(shares, { round: roundOf(8), shares: [] })),
    );
    (
      await breakGlass(
        store,
        request(shares, { round: roundOf(8), shares: shares.slice(1), reason: 'and again' }),
      )
    ).wipe();
    const open = openBreakGlasses(store);
    expect(open.map(({ key, reason }) => [key, reason])).to.deep.equal([
      ['kem-1', 'the HSM burnt'],
      ['kem-1', 'and again'],
    ]);
    expect(new Set(open.map(({ round }) => round)).size).to.equal(2);
    const uses = store.vault.trail.entries().filter(({ kind }) => kind === 'break-glass');
    expect(uses.map(({ sequence }) => sequence)).to.deep.equal(open.map(({ entry }) => entry));
    expect(uses.map(({ detail }) => detail['officers'])).to.deep.equal(['ada, grace', 'grace, emmy']);
    await expectWhole(store);
    store.close();
  });

  it('refuses fewer officers than it takes, one twice, and a share that was changed, each on the trail', async () => {
    const { store, shares } = await armed();
    const [ada, grace] = shares as [OfficerShare, OfficerShare];
    const swapped = { ...ada, share: grace.share };
    const cases: [string, OfficerShare[]][] = [
      ['break-glass.too-few-shares', [ada]],
      ['break-glass.too-few-shares', []],
      ['break-glass.same-officer', [ada, ada]],
      ['break-glass.corrupt-share', [swapped, grace]],
    ];
    for (const [code, given] of cases) {
      await expectRefusal(code, () => breakGlass(store, request(shares, { shares: given })));
      const last = recorded(store).at(-1);
      expect(last).to.deep.include({ kind: 'refuse', key: 'kem-1' });
      expect(last?.detail).to.include({ code, reason: 'the HSM burnt' });
      expect(stateOf(store)).to.deep.equal({ state: 'active', wrapped: true, copy: true });
    }
    expect(openBreakGlasses(store)).to.deep.equal([]);
    await expectWhole(store);
    store.close();
  });

  it('unlocks no key that was destroyed, that is unknown, or that is below the floor of an import', async () => {
    const { store, shares } = await armed();
    await store.createKem(2, 'active');
    await expectRefusal('key.unknown', () => breakGlass(store, request(shares, { key: 'kem-9' })));
    await expectRefusal('break-glass.no-copy', () => breakGlass(store, request(shares, { key: 'signing' })));
    await store.raiseEpochFloor(2, 'imported');
    await expectRefusal('key.epoch-refused', () => breakGlass(store, request(shares)));
    await store.destroy('kem-1', 'test');
    await expectRefusal('break-glass.no-copy', () => breakGlass(store, request(shares)));
    expect(await filesOf(store.directory, 'kem-1.')).to.deep.equal([]);
    store.close();
  });

  it('is refused where no officers were named', async () => {
    const { store } = await newStore();
    await expectRefusal('break-glass.not-set-up', () => breakGlass(store, request([])));
    store.close();
  });

  it('trusts no recovery key but the one on the trail, for opening and for sealing', async () => {
    const { directory, store, shares } = await armed();
    const { fleet, role, id } = CUSTODIAN;
    const mallory = await createRecovery({ fleet, role, id, officers: OFFICERS, threshold: 2 });
    const description = encodeRecoveryDescription(mallory.recovery);
    tamper(directory, 'UPDATE recovery SET description = ?', description);
    await expectRefusal('key.store-corrupt', () => breakGlass(store, request(mallory.shares)));
    await expectRefusal('key.store-corrupt', () => breakGlass(store, request(shares)));
    await expectRefusal('key.store-corrupt', () => store.createKem(2, 'active'));
    expect(store.keys().map(({ name }) => name)).to.deep.equal(['kem-1', 'signing']);
    store.close();
  });

  it('trusts no entry that was written beside the trail for another recovery key', async () => {
    const { directory, store } = await armed();
    const other = await newStore();
    const shares = await setUpRecovery(other.store, { officers: OFFICERS, threshold: 2 });
    // The other store is of the same role, id and fleet: only whose signature it is tells them apart.
    const entry = other.store.vault.trail.entries().at(-1);
    const recovery = await recoveryDescription(other.store.vault);
    tamper(
      directory,
      'UPDATE audit_entry SET detail = ?, hash = ?, signatures = ? WHERE sequence = ?',
      JSON.stringify(entry?.detail),
      entry?.hash,
      entry?.signatures,
      entry?.sequence,
    );
    tamper(
      directory,
      'UPDATE recovery SET description = ?',
      encodeRecoveryDescription(recovery as NonNullable<typeof recovery>),
    );
    await expectRefusal('key.store-corrupt', () => breakGlass(store, request(shares)));
    other.store.close();
    store.close();
  });
});

describe('setting up officers', () => {
  it('gives the KEM keys that there are a copy, and those that are made later', async () => {
    const { directory, store, shares } = await armed();
    await store.createKem(2, 'pre-activation');
    expect(store.keys().map(({ name, recoverable }) => [name, recoverable])).to.deep.equal([
      ['kem-1', true],
      ['kem-2', true],
      ['signing', false],
    ]);
    expect(await filesOf(directory, 'kem-2.recovery.')).to.have.length(1);
    const secret = await breakGlass(store, request(shares, { key: 'kem-2' }));
    expect(await secret.use(kemPublicKey)).to.deep.equal(store.newestKem()?.publicKey);
    secret.wipe();
    store.close();
  });

  it('again replaces the officers: shares of before open nothing', async () => {
    const { directory, store, shares } = await armed();
    const present = shares.slice(0, 2);
    const next = await setUpRecovery(store, { officers: ['alan', 'kurt'], threshold: 2, present });
    expect(await filesOf(directory, 'kem-1.recovery.')).to.have.length(1);
    await expectRefusal('break-glass.other-set', () => breakGlass(store, request(shares)));
    expect(stateOf(store).state).to.equal('active');
    const secret = await breakGlass(store, request(next));
    expect(await secret.use(kemPublicKey)).to.deep.equal(store.newestKem()?.publicKey);
    secret.wipe();
    await expectWhole(store);
    store.close();
  });

  it('has the shares kept before they count: where they cannot be, the officers of before remain', async () => {
    const { store, shares } = await armed();
    const [before, copies] = [
      await recoveryDescription(store.vault),
      await filesOf(store.directory, 'kem-1.'),
    ];
    const keep = async (): Promise<void> => {
      throw new Error('the disk is full');
    };
    const again = { officers: ['alan', 'kurt'], threshold: 2, present: shares.slice(1), keep };
    await setUpRecovery(store, again).then(
      () => expect.fail('it set others up'),
      (error: Error) => expect(error.message).to.equal('the disk is full'),
    );
    expect(await recoveryDescription(store.vault)).to.deep.equal(before);
    expect(await filesOf(store.directory, 'kem-1.')).to.deep.equal(copies);
    (await breakGlass(store, request(shares))).wipe();
    store.close();
  });

  it('again takes the consent of as many officers as it takes to open a key', async () => {
    const { store, shares } = await armed();
    const again = { officers: ['mallory', 'trudy'], threshold: 2 };
    const { message } = await expectRefusal('break-glass.consent-needed', () => setUpRecovery(store, again));
    expect(message).to.include('2 of ada, grace, emmy');
    const [ada, grace] = shares as [OfficerShare, OfficerShare];
    const { fleet, role, id } = CUSTODIAN;
    const own = await createRecovery({ fleet, role, id, ...again });
    for (const [present, code] of [
      [[ada], 'break-glass.too-few-shares'],
      [[ada, ada], 'break-glass.same-officer'],
      [[ada, { ...grace, share: ada.share }], 'break-glass.corrupt-share'],
      [own.shares, 'break-glass.other-set'],
    ] as const) {
      await expectRefusal(code, () => setUpRecovery(store, { ...again, present }));
      expect(recorded(store).at(-1)).to.deep.include({ kind: 'refuse' });
    }
    (await breakGlass(store, request(shares))).wipe();
    store.close();
  });

  it('is refused while only the officers of before can open a compromised key, until that is destroyed', async () => {
    const { store, shares } = await armed();
    (await breakGlass(store, request(shares))).wipe();
    const before = store.auditHead();
    const again = { officers: ['alan', 'kurt'], threshold: 2, present: shares.slice(1) };
    await expectRefusal('break-glass.compromised-key', () => setUpRecovery(store, again));
    expect(store.auditHead()).to.deep.equal(before);
    await store.destroy('kem-1', 'its rounds are closed');
    await setUpRecovery(store, again);
    store.close();
  });

  it('takes the wrapped file of a key that was compromised before there were officers', async () => {
    const { directory, store } = await newStore();
    await store.transition('kem-1', 'compromised', 'test');
    expect(stateOf(store)).to.deep.equal({ state: 'compromised', wrapped: true, copy: false });
    const shares = await setUpRecovery(store, { officers: OFFICERS, threshold: 2 });
    expect(stateOf(store)).to.deep.equal({ state: 'compromised', wrapped: false, copy: true });
    expect(await filesOf(directory, 'kem-1.')).to.have.length(1);
    (await breakGlass(store, request(shares))).wipe();
    store.close();
  });

  it('is refused for a threshold that the officers cannot reach', async () => {
    const { store } = await newStore();
    const before = store.auditHead();
    for (const setup of [
      { officers: ['ada', 'grace'], threshold: 3 },
      { officers: ['ada', 'ada'], threshold: 2 },
      { officers: ['ada', 'grace'], threshold: 1 },
    ]) {
      await expectRefusal('break-glass.bad-recovery', () => setUpRecovery(store, setup));
    }
    expect(store.auditHead()).to.deep.equal(before);
    store.close();
  });
});

describe('a use of break-glass', () => {
  it('is shown until an officer closes it, by whichever process opens the store', async () => {
    const { directory, store, shares } = await armed();
    (await breakGlass(store, request(shares))).wipe();
    store.close();
    const again = await KeyStore.open(directory);
    const [use] = openBreakGlasses(again);
    expect(use).to.include({ key: 'kem-1', reason: 'the HSM burnt' });
    await closeBreakGlass(again, use?.entry as number, shares[2] as OfficerShare, 'a drill');
    expect(openBreakGlasses(again)).to.deep.equal([]);
    expect(recorded(again).at(-1)).to.deep.equal({
      kind: 'break-glass-close',
      key: undefined,
      detail: { use: use?.entry, officer: 'emmy', note: 'a drill' },
    });
    await expectRefusal('break-glass.unknown-use', () =>
      closeBreakGlass(again, use?.entry as number, shares[2] as OfficerShare, 'a drill'),
    );
    await expectWhole(again);
    again.close();
  });

  it('keeps the signing key from being destroyed until it is closed', async () => {
    const { store, shares } = await armed();
    (await breakGlass(store, request(shares))).wipe();
    await store.destroy('kem-1', 'its rounds are closed');
    const [use] = openBreakGlasses(store);
    await expectRefusal('key.still-signs', () => store.destroy('signing', 'test'));
    await closeBreakGlass(store, use?.entry as number, shares[0] as OfficerShare, 'a drill');
    await store.destroy('signing', 'test');
    store.close();
  });

  it('is not hidden by a change of the database alone: the trail still has it open', async () => {
    for (const sql of ['DELETE FROM break_glass', 'UPDATE break_glass SET closed_entry = 1']) {
      const { directory, store, shares } = await armed();
      (await breakGlass(store, request(shares))).wipe();
      const [use] = openBreakGlasses(store);
      store.close();
      tamper(directory, sql);
      const again = await KeyStore.open(directory);
      expect(openBreakGlasses(again)).to.deep.equal([]);
      const { bad } = await again.verifyAudit();
      expect(bad?.sequence, sql).to.equal(use?.entry);
      expect(bad?.reason).to.include('break-glass');
      again.close();
    }
  });

  it('is closed by nobody who has no share, and by no other number', async () => {
    const { store, shares } = await armed();
    (await breakGlass(store, request(shares))).wipe();
    const [use] = openBreakGlasses(store);
    const entry = use?.entry as number;
    const [ada, grace] = shares as [OfficerShare, OfficerShare];
    await expectRefusal('break-glass.corrupt-share', () =>
      closeBreakGlass(store, entry, { ...ada, share: grace.share }, 'no'),
    );
    await expectRefusal('break-glass.unknown-officer', () =>
      closeBreakGlass(store, entry, { ...ada, officer: 'mallory' }, 'no'),
    );
    await expectRefusal('break-glass.unknown-use', () => closeBreakGlass(store, entry - 1, ada, 'no'));
    expect(openBreakGlasses(store)).to.have.length(1);
    store.close();
  });
});
