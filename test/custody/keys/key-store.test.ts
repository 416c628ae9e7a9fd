import { chmod, readdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { expect } from 'chai';
import { kemPublicKey } from '../../../lib/custody/hpke.js';
import { KeyStore } from '../../../lib/custody/keys/key-store.js';
import { newPassphraseConfig, type WrapperConfig } from '../../../lib/custody/wrappers/wrapper-config.js';
import { openContainer } from '../../../lib/package/reader.js';
import { containerBytes, encodeContainer } from '../../../lib/package/writer.js';
import { expectRefusal, outcomeOf } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { bytes32 } from '../support/bytes.js';
import { CUSTODIAN, commandWrapper, newStore } from './support/stores.js';

async function keyFiles(directory: string): Promise<string[]> {
  return (await readdir(join(directory, 'keys'))).sort();
}

async function kinds(store: KeyStore): Promise<string[]> {
  return store.vault.trail.entries().map(({ kind, key }) => `${kind} ${key ?? ''}`.trim());
}

describe('a key store', () => {
  it('makes a signing key, a KEM key of an epoch and a PRF key, and gives the same ones again', async () => {
    const { directory, store } = await newStore({ role: 'client', id: 'robot-1', prf: true });
    const names = store.keys().map(({ name, state }) => [name, state]);
    expect(names).to.deep.equal([
      ['kem-1', 'active'],
      ['prf', 'active'],
      ['signing', 'active'],
    ]);
    const kem = store.newestKem()?.publicKey as Uint8Array;
    const { keyId } = await store.signing();
    const prf = (await store.prf()).use((bytes) => Uint8Array.from(bytes));
    store.close();

    const again = await KeyStore.open(directory);
    expect((await again.signing()).keyId).to.deep.equal(keyId);
    expect((await again.prf()).use((bytes) => Uint8Array.from(bytes))).to.deep.equal(prf);
    expect(prf).to.have.length(32);
    const seed = await again.kem('kem-1', 'test');
    expect(await seed.use(kemPublicKey)).to.deep.equal(kem);
    expect(again.kemWith(kem)?.name).to.equal('kem-1');
    again.close();
  });

  it('signs with both algorithms where it was made so', async () => {
    const { store } = await newStore({ algorithms: ['ed25519', 'ml-dsa-65'] });
    const signer = await store.signing();
    const bytes = containerBytes(
      await encodeContainer({
        kind: 'close',
        body: {
          ...{ fleet: 'acme', policy: 'p', cohort: 'all', round: 1 },
          plan: bytes32('plan'),
          opened: [],
          reason: 'a test',
        },
        signer,
      }),
    );
    const container = await openContainer(bytes, 'close');
    await container.verify(store.publicKeys, ['ed25519', 'ml-dsa-65']);
    store.close();
  });

  it('is never made over another, and what was interrupted is begun anew', async () => {
    const { directory, store } = await newStore();
    const { keyId } = await store.signing();
    store.close();
    await expectRefusal('key.exists', () => KeyStore.create(directory, CUSTODIAN));
    const again = await KeyStore.open(directory);
    expect((await again.signing()).keyId).to.deep.equal(keyId);
    again.close();
  });

  it('keeps files of mode 0600 in directories of mode 0700, and refuses looser ones', async () => {
    const { directory, store } = await newStore();
    const [name] = (await keyFiles(directory)).filter((file) => file.startsWith('kem-1.'));
    const path = join(directory, 'keys', name as string);
    await chmod(path, 0o640);
    const error = await expectRefusal('key.permissions', () => store.kem('kem-1', 'test'));
    expect(error.message).to.include('0640'.slice(1)).and.to.include('chmod 600');
    await chmod(path, 0o600);
    await rename(path, `${path}.away`);
    await symlink(`${path}.away`, path);
    await expectRefusal('key.unreadable', () => store.kem('kem-1', 'test'));
    store.close();
  });

  it('takes the file of one key for no other, whatever the wrapper makes of it', async () => {
    const { directory, store } = await newStore();
    await store.createKem(2, 'active');
    const files = (await keyFiles(directory)).filter((file) => file.startsWith('kem-'));
    const [first, second] = await Promise.all(files.map((file) => readFile(join(directory, 'keys', file))));
    await writeFile(join(directory, 'keys', files[0] as string), second as Buffer);
    await expectRefusal('key.wrong-secret', () => store.kem('kem-1', 'test'));
    await writeFile(join(directory, 'keys', files[1] as string), first as Buffer);
    await expectRefusal('key.wrong-secret', () => store.kem('kem-2', 'test'));
    store.close();
  });

  it('says what is malformed in a key file without quoting it', async () => {
    const { directory, store } = await newStore();
    const [name] = (await keyFiles(directory)).filter((file) => file.startsWith('kem-1.'));
    const path = join(directory, 'keys', name as string);
    const text = await readFile(path, 'utf8');
    const { blob } = JSON.parse(text) as { blob: string };
    for (const bad of [
      text.slice(0, -20),
      '',
      '{}',
      text.replace('"version":1', '"version":2'),
      text.replace('"blob"', '"extra":1,"blob"'),
      `"${blob}`,
    ]) {
      await writeFile(path, bad);
      const error = await expectRefusal('key.malformed', () => store.kem('kem-1', 'test'));
      expect(inspect(error, { depth: 9 })).not.to.include(blob.slice(0, 16));
    }
    store.close();
  });
});

describe('a signing key in a key store', () => {
  it('signs nothing for others while it is suspended, and is active again when an operator says so', async () => {
    const { directory, store } = await newStore();
    const { keyId } = await store.signing();
    await store.transition('signing', 'suspended', 'test');
    // Neither the process that had it unlocked already, nor one that opens the store anew.
    await expectRefusal('key.not-active', () => store.signing());
    store.close();
    const again = await KeyStore.open(directory);
    await expectRefusal('key.not-active', () => again.signing());
    await expectRefusal('key.not-active', () => again.exportAuditHead());
    await again.transition('signing', 'active', 'test');
    expect((await again.signing()).keyId).to.deep.equal(keyId);
    expect((await again.verifyAudit()).bad).to.equal(undefined);
    again.close();
  });

  it('is destroyed last: without it no other key could be, and no use of break-glass closed', async () => {
    const { directory, store } = await newStore({ prf: true });
    const before = await keyFiles(directory);
    for (const state of ['active', 'suspended', 'active', 'deactivated', 'compromised'] as const) {
      if (store.vault.row('signing').state !== state) await store.transition('signing', state, 'test');
      const { message } = await expectRefusal('key.still-signs', () => store.destroy('signing', 'test'));
      expect(message).to.include('"kem-1", "prf"');
      // Not even on the way there.
      expect(store.vault.row('signing').state).to.equal(state);
    }
    await expectRefusal('key.still-signs', () => store.transition('signing', 'destroyed', 'test'));
    expect(await keyFiles(directory)).to.have.members(before);
    await store.destroy('kem-1', 'test');
    await expectRefusal('key.still-signs', () => store.destroy('signing', 'test'));
    await store.destroy('prf', 'test');
    await store.destroy('signing', 'test');
    expect(await keyFiles(directory)).to.deep.equal([]);
    expect((await store.verifyAudit()).bad).to.equal(undefined);
    store.close();
  });

  it('still signs the trail once it is compromised, so that the keys beside it can be destroyed', async () => {
    const { directory, store } = await newStore();
    await store.transition('signing', 'compromised', 'test');
    store.close();
    const again = await KeyStore.open(directory);
    await expectRefusal('key.not-active', () => again.signing());
    await again.destroy('kem-1', 'test');
    await again.destroy('signing', 'test');
    expect(await keyFiles(directory)).to.deep.equal([]);
    expect((await again.verifyAudit()).bad).to.equal(undefined);
    again.close();
    const last = await KeyStore.open(directory);
    await expectRefusal('key.no-secret', () => last.refuse({ code: 'test' }));
    last.close();
  });
});

describe('a KEM key in a key store', () => {
  it('opens while active or deactivated, and in no other state', async () => {
    const { store } = await newStore();
    await store.createKem(2, 'pre-activation');
    await expectRefusal('key.state-refuses', () => store.kem('kem-2', 'round 1'));
    await store.transition('kem-2', 'active', 'test');
    (await store.kem('kem-2', 'round 1')).wipe();
    await store.transition('kem-2', 'suspended', 'test');
    await expectRefusal('key.state-refuses', () => store.kem('kem-2', 'round 1'));
    await store.transition('kem-2', 'active', 'test');
    await store.transition('kem-2', 'deactivated', 'test');
    (await store.kem('kem-2', 'round 1')).wipe();
    await store.transition('kem-2', 'compromised', 'test');
    await expectRefusal('key.state-refuses', () => store.kem('kem-2', 'round 1'));
    await expectRefusal('key.bad-transition', () => store.transition('kem-2', 'active', 'test'));
    expect((await kinds(store)).filter((entry) => entry === 'refuse kem-2')).to.have.length(3);
    store.close();
  });

  it('is gone from the disk once it is destroyed', async () => {
    const { directory, store } = await newStore();
    await store.destroy('kem-1', 'test');
    expect(store.keys().find(({ name }) => name === 'kem-1')?.state).to.equal('destroyed');
    expect(await keyFiles(directory)).to.have.length(1);
    await expectRefusal('key.state-refuses', () => store.kem('kem-1', 'test'));
    expect((await kinds(store)).slice(-3)).to.deep.equal([
      'deactivate kem-1',
      'destroy kem-1',
      'refuse kem-1',
    ]);
    store.close();
  });

  it('never returns for an epoch that had one', async () => {
    const { store } = await newStore();
    await expectRefusal('key.exists', () => store.createKem(1, 'active'));
    await store.destroy('kem-1', 'test');
    await expectRefusal('key.exists', () => store.createKem(1, 'active'));
    expect((await store.createKem(5, 'pre-activation')).name).to.equal('kem-5');
    await expectRefusal('key.exists', () => store.createKem(3, 'active'));
    store.close();
  });

  it('opens nothing of an epoch below the floor that an import sets, which only rises', async () => {
    const { store } = await newStore();
    await store.createKem(2, 'active');
    await store.raiseEpochFloor(2, 'imported');
    await store.raiseEpochFloor(1, 'imported again');
    expect(store.epochFloor).to.equal(2);
    await expectRefusal('key.epoch-refused', () => store.kem('kem-1', 'round 1'));
    (await store.kem('kem-2', 'round 2')).wipe();
    store.close();
  });
});

describe('a key store behind a wrapper', () => {
  it('records each unwrapping before it happens, and shows no secret in a file', async () => {
    const wrapper = await commandWrapper('first');
    const { directory, store } = await newStore({ wrapper });
    const seed = await store.kem('kem-1', 'round 7');
    const secret = seed.use((bytes) => Buffer.from(bytes).toString('base64'));
    seed.wipe();
    const entries = store.vault.trail.entries();
    expect(entries.map(({ kind, key }) => `${kind} ${key}`)).to.deep.equal([
      'create signing',
      'create kem-1',
      'unwrap signing',
      'unwrap kem-1',
    ]);
    expect(entries.at(-1)?.detail).to.deep.equal({ wrapper: 'command:first', what: 'round 7' });
    store.close();
    for (const file of await readdir(directory, { recursive: true, withFileTypes: true })) {
      if (!file.isFile()) continue;
      const bytes = await readFile(join(file.parentPath, file.name));
      expect(bytes.includes(secret.slice(0, 40))).to.equal(false);
      expect(bytes.includes(Buffer.from(secret, 'base64').subarray(0, 30))).to.equal(false);
    }
  });

  it('is wrapped anew by another key, after which the old one opens nothing', async () => {
    const first = await commandWrapper('first');
    const second = await commandWrapper('second');
    const { directory, store } = await newStore({ wrapper: first });
    const before = await keyFiles(directory);
    const { keyId } = await store.signing();
    expect(await store.rewrap(second)).to.have.members(['signing', 'kem-1']);
    (await store.kem('kem-1', 'test')).wipe();
    store.close();
    const after = await keyFiles(directory);
    expect(after).to.have.length(2);
    expect(after.filter((file) => before.includes(file))).to.deep.equal([]);

    const again = await KeyStore.open(directory);
    expect((await again.wrapperDescription()).id).to.equal('command:second');
    expect((await again.signing()).keyId).to.deep.equal(keyId);
    expect(again.keys().map(({ wrapperId }) => wrapperId)).to.deep.equal([
      'command:second',
      'command:second',
    ]);
    expect((await again.verifyAudit()).bad).to.equal(undefined);
    again.close();
  });

  it('unwraps no key to wrap it anew without an entry that says so', async () => {
    const { store } = await newStore({ wrapper: await commandWrapper('first') });
    await store.rewrap(await commandWrapper('second'));
    expect((await kinds(store)).slice(2)).to.deep.equal([
      'unwrap signing',
      'unwrap kem-1',
      'unwrap signing',
      'wrap kem-1',
      'wrap signing',
    ]);
    store.close();
  });

  it('goes on in a process that had it open while another wrapped the keys anew', async () => {
    const { directory, store } = await newStore({ wrapper: await commandWrapper('first') });
    (await store.kem('kem-1', 'test')).wipe();
    const other = await KeyStore.open(directory);
    await other.rewrap(await commandWrapper('second'));
    other.close();
    (await store.kem('kem-1', 'test')).wipe();
    await store.createKem(2, 'active');
    store.close();
    const again = await KeyStore.open(directory);
    expect(new Set(again.keys().map(({ wrapperId }) => wrapperId))).to.deep.equal(
      new Set(['command:second']),
    );
    (await again.kem('kem-2', 'test')).wipe();
    again.close();
  });

  it('loses no key that one process makes while another wraps them anew', async () => {
    const { directory, store } = await newStore({ wrapper: await commandWrapper('first') });
    await store.signing();
    const other = await KeyStore.open(directory);
    await other.signing();
    const second = await commandWrapper('second');
    const outcomes = await Promise.all([
      outcomeOf(() => store.createKem(2, 'active')),
      outcomeOf(() => other.rewrap(second)),
    ]);
    // Whichever comes second finds what it began with changed, and has changed nothing.
    const refused = outcomes.filter(
      (outcome) => 'code' in outcome && outcome.code === 'key.changed-meanwhile',
    );
    expect(refused).to.have.length(1);
    for (const { name } of store.keys().filter(({ purpose }) => purpose === 'kem')) {
      (await other.kem(name, 'test')).wipe();
    }
    other.close();
    store.close();
  });

  it('tries a wrapper again that did not open', async () => {
    const passphraseFile = join(await temporaryDirectory(), 'passphrase');
    await writeFile(passphraseFile, 'correct horse battery\n', { mode: 0o600 });
    const { directory, store } = await newStore({ wrapper: newPassphraseConfig(passphraseFile) });
    store.close();
    await rename(passphraseFile, `${passphraseFile}.away`);
    const again = await KeyStore.open(directory);
    await expectRefusal('wrapper.file-missing', () => again.signing());
    await rename(`${passphraseFile}.away`, passphraseFile);
    await again.signing();
    again.close();
  });

  it('keeps every key as it was when wrapping anew fails', async () => {
    const first = await commandWrapper('first');
    const { directory, store } = await newStore({ wrapper: first });
    const before = await keyFiles(directory);
    const broken: WrapperConfig = {
      ...first,
      keyId: 'broken',
      wrap: [process.execPath, '-e', 'process.exit(3)'],
    };
    await expectRefusal('wrapper.command-failed', () => store.rewrap(broken));
    expect(await keyFiles(directory)).to.deep.equal(before);
    (await store.kem('kem-1', 'test')).wipe();
    store.close();
  });

  it('shows no secret in a file once keys that rested in the clear are wrapped', async () => {
    const { directory, store } = await newStore();
    const seed = await store.kem('kem-1', 'test');
    const secret = seed.use((bytes) => Buffer.from(bytes));
    await store.rewrap(await commandWrapper('first'));
    store.close();
    for (const file of await keyFiles(directory)) {
      const { blob } = JSON.parse(await readFile(join(directory, 'keys', file), 'utf8')) as { blob: string };
      expect(Buffer.from(blob, 'base64').includes(secret)).to.equal(false);
    }
  });
});

describe('a directory without finished keys', () => {
  it('is told apart from one that has none', async () => {
    await expectRefusal('storage.missing', () => temporaryDirectory().then((empty) => KeyStore.open(empty)));
  });
});
