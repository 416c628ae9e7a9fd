import { existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { expect } from 'chai';
import { extractArchive } from '../../../lib/custody/archive/archive-extraction.js';
import { readArchive, writeArchive } from '../../../lib/custody/archive/archive-format.js';
import { readArchivePassphrase } from '../../../lib/custody/archive/archive-header.js';
import { openClientState } from '../../../lib/custody/client-state.js';
import { requireWhole } from '../../../lib/custody/keys/audit-verification.js';
import { KeyStore } from '../../../lib/custody/keys/key-store.js';
import { rotate } from '../../../lib/custody/keys/rotation.js';
import { createLedger, openLedger } from '../../../lib/custody/ledger.js';
import { openRole } from '../../../lib/custody/role-directory.js';
import { newPassphraseConfig } from '../../../lib/custody/wrappers/wrapper-config.js';
import { openPrivacyLedger } from '../../../lib/privacy/privacy-ledger.js';
import { isExportedPath } from '../../../lib/round/disaster-recovery/exported-state.js';
import { readEnrolment } from '../../../lib/round/enrolment/requests.js';
import { writeEnrolment } from '../../../lib/round/enrolment/set-up-member.js';
import { bytes32 } from '../../custody/support/bytes.js';
import { release } from '../../privacy/support/releases.js';
import { expectRefusal } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import {
  type Archive,
  answer,
  archiveOf,
  besides,
  copyOf,
  importArchive,
  newDirectory,
  roleDirectory,
  withStore,
} from './support/roles.js';

async function pathsIn({ path, passphraseFile }: Archive): Promise<string[]> {
  const passphrase = await readArchivePassphrase(passphraseFile);
  const paths: string[] = [];
  await readArchive(path, passphrase, async (entry) => {
    paths.push(entry.path);
  });
  return paths;
}

/** What somebody who has the passphrase can make of an archive. */
async function changedArchive(
  archive: Archive,
  change: (directory: string) => Promise<unknown>,
): Promise<Archive> {
  const passphrase = await readArchivePassphrase(archive.passphraseFile);
  const parts = await temporaryDirectory();
  await mkdir(parts, { recursive: true, mode: 0o700 });
  const paths = await extractArchive(archive.path, passphrase, parts, isExportedPath);
  await change(parts);
  // As one file each, without what SQLite keeps beside.
  const whole = await copyOf(parts);
  const path = join(await temporaryDirectory(), 'changed.tgx');
  await writeArchive(
    path,
    passphrase,
    paths.map((name) => ({ path: name, mode: 0o600, content: { file: join(whole, name) } })),
    { scryptLog2N: 10 },
  );
  passphrase.wipe();
  return { ...archive, path };
}

async function ledgerHead(directory: string): Promise<Uint8Array> {
  const ledger = await openLedger(join(await copyOf(directory), 'ledger.sqlite'));
  try {
    return ledger.head();
  } finally {
    ledger.close();
  }
}

async function kindsOf(directory: string): Promise<string[]> {
  return withStore(directory, (store) => store.vault.trail.entries().map(({ kind }) => kind));
}

async function spend(directory: string, round: number): Promise<void> {
  const ledger = await openPrivacyLedger(join(directory, 'privacy.sqlite'));
  ledger.spend({
    ...{ plan: bytes32(`plan ${round}`), fleet: 'acme', policy: 'policy', round, client: 'client-01' },
    ...{ release: release(), samplerDelta: 1e-13, budget: { epsilon: 20, delta: 1e-5, hardStop: true } },
  });
  ledger.close();
}

function sealRequest(delta: string, round: number) {
  const key = { fleet: 'acme', policy: 'policy', cohort: 'all', round };
  return { ...key, deltaDigest: bytes32(delta), plan: bytes32(`plan ${round}`) };
}

async function claim(directory: string, delta: string, round: number): Promise<void> {
  const state = await openClientState(directory);
  await state.claim(sealRequest(delta, round));
  state.close();
}

describe("a custodian's archive", () => {
  it('holds signing key, trail, ledger and rosters, and no KEM key of any epoch', async () => {
    const directory = await roleDirectory('custodians/custodian-1');
    await answer(directory, 1);
    const archive = await archiveOf(directory);
    const paths = await pathsIn(archive);
    expect(paths).to.include.members(['archive.cbor', 'keystore.sqlite', 'ledger.sqlite', 'roster.tgo']);
    const keys = paths.filter((path) => path.startsWith('keys/'));
    expect(keys).to.have.length(1);
    expect(keys[0]).to.match(/^keys\/signing\./);
    expect(archive.exported.keys).to.deep.equal(['signing']);
    // The file of the KEM key is in the directory, and its bytes are not in the archive's plaintext either.
    const kemFile = (await readdir(join(directory, 'keys'))).find((name) => name.startsWith('kem-1.'));
    expect(paths.join()).to.not.include(kemFile as string);
    expect((await kindsOf(directory)).at(-1)).to.equal('export');
    expect((await readdir(directory)).filter((name) => name.startsWith('.export'))).to.deep.equal([]);
  });

  it('is restored with a key of a new epoch, its chains, and an enrolment that says so', async () => {
    const directory = await roleDirectory('custodians/custodian-1');
    const head = await answer(directory, 1);
    const archive = await archiveOf(directory);
    const target = await newDirectory();
    const imported = await importArchive(archive, target);
    expect(imported).to.include({ role: 'custodian', id: 'custodian-1', epoch: 2, done: 'now' });
    expect(await besides(target)).to.deep.equal([]);
    expect((await stat(target)).mode & 0o077).to.equal(0);
    expect(await ledgerHead(target)).to.deep.equal(head);
    await withStore(target, async (store) => {
      expect(store.keys().map(({ name, state }) => [name, state])).to.deep.equal([
        ['kem-1', 'destroyed'],
        ['kem-2', 'pre-activation'],
        ['signing', 'active'],
      ]);
      expect(store.epochFloor).to.equal(2);
      requireWhole(await store.verifyAudit());
      await expectRefusal('key.epoch-refused', () => store.kem('kem-1', 'test'));
      const { body } = await readEnrolment(join(target, 'enrolment.tge'), 'acme');
      expect(body).to.deep.include({ role: 'custodian', id: 'custodian-1', epoch: 2, restored: true });
      expect(body.ledgerHead).to.deep.equal(head);
      expect(body.kem).to.deep.equal(store.newestKem()?.publicKey);
    });
    const kinds = await kindsOf(target);
    expect(kinds.indexOf('export')).to.be.lessThan(kinds.indexOf('import'));
    const role = await openRole(await copyOf(target), 'custodian');
    role.close();
  });

  it('goes on saying that it was restored until a key that it made since is in a roster', async () => {
    const archive = await archiveOf(await roleDirectory('custodians/custodian-1'));
    const target = await newDirectory();
    await importArchive(archive, target);
    const saysRestored = async (store: KeyStore) =>
      (
        await readEnrolment(
          await writeEnrolment(store).then(() => join(store.directory, 'enrolment.tge')),
          'acme',
        )
      ).body.restored;
    await withStore(target, async (store) => {
      await rotate(store, 4);
      expect(await saysRestored(store)).to.equal(true);
      const newest = store.newestKem()?.name as string;
      await store.transition(newest, 'active', 'test');
      await rotate(store);
      expect(await saysRestored(store)).to.equal(undefined);
    });
  });

  it('is refused where a ledger lies without its key store, and leaves it there', async () => {
    const directory = await roleDirectory('custodians/custodian-1');
    const archive = await archiveOf(directory);
    const target = await newDirectory();
    await mkdir(target, { mode: 0o700 });
    await copyFile(join(directory, 'ledger.sqlite'), join(target, 'ledger.sqlite'));
    await expectRefusal('import.no-key-store', () => importArchive(archive, target));
    expect(await readdir(target)).to.deep.equal(['ledger.sqlite']);
  });

  it('makes the key of a later epoch where the fleet has moved on', async () => {
    const archive = await archiveOf(await roleDirectory('custodians/custodian-1'));
    const target = await newDirectory();
    expect((await importArchive(archive, target, 7)).epoch).to.equal(7);
    await withStore(target, (store) => expect(store.newestKem()?.name).to.equal('kem-7'));
  });

  it('moves to another machine and back, the epoch rising each time', async () => {
    const here = await roleDirectory('custodians/custodian-1');
    await answer(here, 1);
    const there = await newDirectory();
    await importArchive(await archiveOf(here), there);
    const away = await copyOf(there);
    const head = await answer(away, 2);
    const back = await archiveOf(away);
    // As after a restart: nothing has the databases open.
    const again = await copyOf(here);
    const oldKeys = await readdir(join(again, 'keys'));
    const imported = await importArchive(back, again);
    expect(imported.epoch).to.equal(3);
    expect(await ledgerHead(again)).to.deep.equal(head);
    expect(await besides(again)).to.deep.equal([]);
    expect(oldKeys.filter((name) => name.startsWith('kem-'))).to.have.length(1);
    const keys = await readdir(join(again, 'keys'));
    expect(keys.filter((name) => oldKeys.includes(name) && !name.startsWith('signing.'))).to.deep.equal([]);
  });

  it('changes nothing when it is imported again', async () => {
    const archive = await archiveOf(await roleDirectory('custodians/custodian-1'));
    const target = await newDirectory();
    await importArchive(archive, target);
    const again = await copyOf(target);
    const before = await withStore(again, (store) => store.auditHead());
    const second = await importArchive(archive, again);
    expect(second).to.include({ done: 'before', epoch: 2 });
    expect(await withStore(again, (store) => store.auditHead())).to.deep.equal(before);
    expect(await besides(again)).to.deep.equal([]);
  });

  it('is refused where the machine has answered since, by whichever chain shows it', async () => {
    const directory = await roleDirectory('custodians/custodian-1');
    const archive = await archiveOf(directory);
    const answered = await copyOf(directory);
    const head = await answer(answered, 1);
    await expectRefusal('import.older-ledger', async () => importArchive(archive, await copyOf(answered)));
    await withStore(directory, async (store) => {
      await store.record('answer', { round: 1 });
      await expectRefusal('import.older-trail', async () =>
        importArchive(archive, await copyOf(store.directory)),
      );
    });
    expect(await ledgerHead(answered)).to.deep.equal(head);
  });

  it('is refused where two machines went on from one state', async () => {
    const here = await roleDirectory('custodians/custodian-1');
    const there = await newDirectory();
    await importArchive(await archiveOf(here), there);
    const away = await copyOf(there);
    await answer(away, 1, 'one set');
    const archive = await archiveOf(away);
    await answer(here, 1, 'another set');
    const error = await expectRefusal('import.diverged', async () =>
      importArchive(archive, await copyOf(here)),
    );
    expect(error.message).to.include('ledger');
    const other = await roleDirectory('custodians/custodian-1');
    await archiveOf(other);
    const trail = await expectRefusal('import.diverged', async () =>
      importArchive(archive, await copyOf(other)),
    );
    expect(trail.message).to.include('audit trail');
  });

  it('is refused in the directory of another role, or of the same id with other keys', async () => {
    const archive = await archiveOf(await roleDirectory('custodians/custodian-1'));
    for (const place of ['custodians/custodian-2', 'owner', 'clients/client-01']) {
      const target = await roleDirectory(place);
      const before = await withStore(target, (store) => store.auditHead());
      const error = await importArchive(archive, target).catch((failure: unknown) => failure);
      expect((error as { code?: string }).code).to.be.oneOf(['import.other-role', 'import.foreign-files']);
      expect(await withStore(target, (store) => store.auditHead())).to.deep.equal(before);
      expect(await besides(target)).to.deep.equal([]);
    }
  });

  it('is refused while a process of the role is at work', async () => {
    const here = await roleDirectory('custodians/custodian-1');
    const there = await newDirectory();
    await importArchive(await archiveOf(here), there);
    const archive = await archiveOf(await copyOf(there));
    const used = await copyOf(here);
    const ledger = await openLedger(join(used, 'ledger.sqlite'));
    await expectRefusal('import.in-use', () => importArchive(archive, used));
    ledger.close();
    expect(await besides(used)).to.deep.equal([]);
    expect(await kindsOf(used)).to.not.include('import');
  });

  it('is written while the custodian answers, with a ledger that verifies', async () => {
    const directory = await roleDirectory('custodians/custodian-1');
    let exported = false;
    const answering = (async () => {
      let round = 0;
      for (; !exported || round < 5; ) {
        round += 1;
        await answer(directory, round);
        await new Promise((done) => setImmediate(done));
      }
      return round;
    })();
    const archive = await archiveOf(directory);
    exported = true;
    await answering;
    const target = await newDirectory();
    await importArchive(archive, target);
    const [whole, restored] = [
      await openLedger(join(await copyOf(directory), 'ledger.sqlite')),
      await openLedger(join(await copyOf(target), 'ledger.sqlite')),
    ];
    expect(whole.hasHead(restored.head())).to.equal(true);
    whole.close();
    restored.close();
  });

  it('is refused where it was put together from parts: its trail ends with its export, its ledger is what that says', async () => {
    const here = await roleDirectory('custodians/custodian-1');
    await answer(here, 1);
    const archive = await archiveOf(here);
    const changes: [says: string, change: (parts: string) => Promise<unknown>][] = [
      [
        'does not end with its export',
        async (parts) => {
          const store = await KeyStore.open(parts);
          await store.record('answer', { round: 'round 2' });
          store.close();
        },
      ],
      [
        'its ledger does not have',
        async (parts) => {
          await rm(join(parts, 'ledger.sqlite'));
          (await createLedger(join(parts, 'ledger.sqlite'))).close();
        },
      ],
    ];
    for (const [says, change] of changes) {
      const target = await newDirectory();
      const error = await expectRefusal('archive.malformed', async () =>
        importArchive(await changedArchive(archive, change), target),
      );
      expect(error.message).to.include(says);
      expect(existsSync(target)).to.equal(false);
    }
    const same = await changedArchive(archive, async () => undefined);
    expect((await importArchive(same, await newDirectory())).done).to.equal('now');
  });

  it('ends with its export though the custodian acts meanwhile', async () => {
    const here = await roleDirectory('custodians/custodian-1');
    const other = await KeyStore.open(here);
    let exported = false;
    const acting = (async () => {
      // Fewer acts than the export has attempts: each can spoil one at most.
      for (let round = 1; !exported && round <= 8; round += 1) {
        await other.record('answer', { round: `round ${round}` });
        await new Promise((done) => setTimeout(done, 2));
      }
    })();
    const archive = await archiveOf(here);
    exported = true;
    await acting;
    other.close();
    await importArchive(archive, await newDirectory());
  });

  it('leaves no trace where it is damaged, or its passphrase is another', async () => {
    const archive = await archiveOf(await roleDirectory('custodians/custodian-1'));
    const bytes = await readFile(archive.path);
    bytes[bytes.length - 20] = (bytes[bytes.length - 20] as number) ^ 1;
    await writeFile(archive.path, bytes);
    const target = await newDirectory();
    await expectRefusal('archive.not-opened', () => importArchive(archive, target));
    expect(existsSync(target)).to.equal(false);
    expect(await besides(target)).to.deep.equal([]);
  });

  it('brings a passphrase file along that lies in the directory, and refuses to drop anything else', async () => {
    const here = await roleDirectory('custodians/custodian-1');
    await withStore(here, async (store) => {
      await writeFile(join(store.directory, 'key-passphrase'), 'a passphrase of keys\n', { mode: 0o600 });
      await store.rewrap(newPassphraseConfig('key-passphrase'));
      const archive = await archiveOf(store.directory);
      expect((await pathsIn(archive)).join()).to.not.include('key-passphrase');

      const target = await newDirectory();
      await expectRefusal('wrapper.file-missing', () => importArchive(archive, target));
      expect(existsSync(target)).to.equal(false);
      await mkdir(target, { mode: 0o700 });
      await writeFile(join(target, 'key-passphrase'), 'a passphrase of keys\n', { mode: 0o600 });
      await mkdir(join(target, 'logs'));
      await expectRefusal('import.foreign-files', () => importArchive(archive, target));
      const clean = await newDirectory();
      await mkdir(clean, { mode: 0o700 });
      await writeFile(join(clean, 'key-passphrase'), 'a passphrase of keys\n', { mode: 0o600 });
      await importArchive(archive, clean);
      expect(await besides(clean)).to.deep.equal([]);
      expect((await stat(join(clean, 'key-passphrase'))).mode & 0o777).to.equal(0o600);
      await withStore(clean, async (restored) => {
        expect((await restored.wrapperDescription()).kind).to.equal('passphrase');
        requireWhole(await restored.verifyAudit());
      });
    });
  }).timeout(60_000);
});

describe("a client's archive", () => {
  it('holds its budget and its keys, not its record of sealed deltas, but what must not be sealed again', async () => {
    const directory = await roleDirectory('clients/client-01');
    await claim(directory, 'delta 1', 3);
    await spend(directory, 3);
    const archive = await archiveOf(directory);
    const paths = await pathsIn(archive);
    expect(paths).to.include.members(['client-memory.cbor', 'privacy.sqlite', 'policy.json']);
    expect(paths.filter((path) => /client-state|sealed|residual/.test(path))).to.deep.equal([]);
    expect(archive.exported.keys).to.deep.equal(['kem-1', 'prf', 'signing']);

    const target = await newDirectory();
    expect(await importArchive(archive, target)).to.include({ role: 'client', epoch: undefined });
    expect((await readdir(target)).filter((name) => name.endsWith('.cbor'))).to.deep.equal([]);
    const restored = await copyOf(target);
    const state = await openClientState(restored);
    await expectRefusal('client.delta-spent', () => state.claim(sealRequest('delta 1', 9)));
    await expectRefusal('client.round-spent', () => state.claim(sealRequest('delta 2', 3)));
    expect(await state.claim(sealRequest('delta 2', 4))).to.equal('new');
    state.close();
    const ledger = await openPrivacyLedger(join(restored, 'privacy.sqlite'));
    expect(ledger.entries().map(({ round }) => round)).to.deep.equal([3]);
    ledger.close();
    await withStore(target, async (store) => {
      expect((await store.kem('kem-1', 'test')).sizeBytes).to.equal(32);
    });
  });

  it('is refused where the machine has spent since', async () => {
    const directory = await roleDirectory('clients/client-01');
    await spend(directory, 1);
    const archive = await archiveOf(directory);
    await spend(directory, 2);
    await expectRefusal('import.older-records', async () => importArchive(archive, await copyOf(directory)));
  });

  it('adds what the machine itself remembers of sealed deltas', async () => {
    const directory = await roleDirectory('clients/client-01');
    await claim(directory, 'delta 1', 3);
    const archive = await archiveOf(directory);
    await claim(directory, 'delta 2', 5);
    const target = await copyOf(directory);
    await importArchive(archive, target);
    const state = await openClientState(await copyOf(target));
    for (const delta of ['delta 1', 'delta 2']) {
      await expectRefusal('client.delta-spent', () => state.claim(sealRequest(delta, 9)));
    }
    await expectRefusal('client.round-spent', () => state.claim(sealRequest('delta 3', 5)));
    // A restored client that is restored again forgets none of it.
    expect(state.memory().deltas).to.have.length(2);
    expect(state.memory().rounds.map(({ round }) => round)).to.deep.equal([5]);
    state.close();
  });
});

describe("the owner's archive", () => {
  it('holds keys and records, and is refused where the machine has more of them, or others', async () => {
    const directory = await roleDirectory('owner');
    const record = (name: string) => join(directory, 'rounds', name);
    await mkdir(join(directory, 'rounds'), { mode: 0o700 });
    await writeFile(record('a.outcome.json'), 'first', { mode: 0o600 });
    await writeFile(record('.b.tmp'), 'unfinished', { mode: 0o600 });
    const archive = await archiveOf(directory);
    expect(await pathsIn(archive))
      .to.include('rounds/a.outcome.json')
      .and.not.include('rounds/.b.tmp');
    const target = await newDirectory();
    await importArchive(archive, target);
    expect(await readFile(join(target, 'rounds/a.outcome.json'), 'utf8')).to.equal('first');
    await withStore(target, async (store) => {
      expect(store.keys().map(({ name, state }) => `${name} ${state}`)).to.deep.equal([
        'kem-1 active',
        'signing active',
      ]);
    });
    await writeFile(record('b.outcome.json'), 'second', { mode: 0o600 });
    await expectRefusal('import.older-records', async () => importArchive(archive, await copyOf(directory)));
    const other = await copyOf(target);
    await writeFile(join(other, 'rounds/a.outcome.json'), 'changed', { mode: 0o600 });
    const later = await archiveOf(other);
    const error = await expectRefusal('import.diverged', async () =>
      importArchive(later, await copyOf(target)),
    );
    expect(error.message).to.include('rounds/a.outcome.json');
  });
});

describe('an archive', () => {
  it('restores aggregator and coordinator as they were', async () => {
    for (const place of ['aggregator', 'coordinator']) {
      const directory = await roleDirectory(place);
      const target = await newDirectory();
      const imported = await importArchive(await archiveOf(directory), target);
      expect(imported.role).to.equal(basename(place));
      const role = await openRole(await copyOf(target), imported.role);
      role.close();
    }
  });
});
