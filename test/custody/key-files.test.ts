import { execFileSync } from 'node:child_process';
import { chmod, link, mkdir, open, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { expect } from 'chai';
import {
  addKemKey,
  createKeyFile,
  destroyKemKey,
  type RoleKeys,
  readKeyFile,
  wipeKeys,
} from '../../lib/custody/key-files.js';
import { SecretBytes } from '../../lib/custody/secret-bytes.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { bytes32 } from './support/bytes.js';

const seedOf = (name: string) => new SecretBytes(bytes32(name));
const base64Of = (name: string) => Buffer.from(bytes32(name)).toString('base64');
const plain = (secret: SecretBytes | undefined) =>
  secret?.use((bytes) => Buffer.from(bytes).toString('base64'));

function custodianKeys(): RoleKeys {
  return {
    role: 'custodian',
    id: 'custodian-1',
    created: '2026-11-24T12:00:00Z',
    signing: { ed25519: seedOf('ed25519'), 'ml-dsa-65': seedOf('ml-dsa-65') },
    kem: [
      { epoch: 1, seed: seedOf('epoch 1') },
      { epoch: 2, seed: seedOf('epoch 2') },
    ],
    prf: seedOf('prf'),
  };
}

const document = {
  format: 'tensorguard-native key file',
  version: 1,
  role: 'client',
  id: 'client-01',
  created: '2026-11-24T12:00:00Z',
  signing: { ed25519: base64Of('ed25519') },
};

async function newPath(): Promise<string> {
  return join(await temporaryDirectory(), 'role', 'key.json');
}

async function written(content: unknown, mode = 0o600): Promise<string> {
  const path = join(await temporaryDirectory(), 'key.json');
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content), { mode });
  await chmod(path, mode);
  return path;
}

describe('key files', () => {
  it('give back what was written', async () => {
    const path = await newPath();
    await createKeyFile(path, custodianKeys());
    const keys = await readKeyFile(path);
    expect([keys.role, keys.id, keys.created]).to.deep.equal([
      'custodian',
      'custodian-1',
      '2026-11-24T12:00:00Z',
    ]);
    expect(plain(keys.signing.ed25519)).to.equal(base64Of('ed25519'));
    expect(plain(keys.signing['ml-dsa-65'])).to.equal(base64Of('ml-dsa-65'));
    expect(keys.kem.map((key) => [key.epoch, plain(key.seed)])).to.deep.equal([
      [1, base64Of('epoch 1')],
      [2, base64Of('epoch 2')],
    ]);
    expect(plain(keys.prf)).to.equal(base64Of('prf'));
  });

  it('need no optional key', async () => {
    const keys = await readKeyFile(await written(document));
    expect(keys.signing).to.have.all.keys('ed25519');
    expect(keys.kem).to.deep.equal([]);
    expect(keys).to.not.have.property('prf');
  });

  it('are JSON of the documented form', async () => {
    const path = await newPath();
    await createKeyFile(path, { ...custodianKeys(), kem: [{ epoch: 4, seed: seedOf('epoch 4') }] });
    expect(JSON.parse(await readFile(path, 'utf8'))).to.deep.equal({
      format: 'tensorguard-native key file',
      version: 1,
      role: 'custodian',
      id: 'custodian-1',
      created: '2026-11-24T12:00:00Z',
      signing: { ed25519: base64Of('ed25519'), 'ml-dsa-65': base64Of('ml-dsa-65') },
      kem: [{ epoch: 4, seed: base64Of('epoch 4') }],
      prf: base64Of('prf'),
    });
  });

  it('have mode 0600 in a directory of mode 0700, whatever the umask', async () => {
    const path = await newPath();
    const before = process.umask(0);
    try {
      await createKeyFile(path, custodianKeys());
    } finally {
      process.umask(before);
    }
    expect((await stat(path)).mode & 0o777).to.equal(0o600);
    expect((await stat(join(path, '..'))).mode & 0o777).to.equal(0o700);
  });

  it('never overwrite a key, and leave nothing behind when refused', async () => {
    const path = await newPath();
    await createKeyFile(path, custodianKeys());
    const content = await readFile(path, 'utf8');
    await expectRefusal('key.exists', () => createKeyFile(path, { ...custodianKeys(), id: 'other' }));
    expect(await readFile(path, 'utf8')).to.equal(content);
    expect(await readdir(join(path, '..'))).to.deep.equal(['key.json']);
  });

  it('do not follow a dangling link when created', async () => {
    const path = await newPath();
    await mkdir(join(path, '..'), { mode: 0o700 });
    await symlink(join(path, '..', 'elsewhere'), path);
    await expectRefusal('key.exists', () => createKeyFile(path, custodianKeys()));
    expect(await readdir(join(path, '..'))).to.deep.equal(['key.json']);
  });

  it('are not created where others could replace them', async () => {
    const path = await newPath();
    await mkdir(join(path, '..'));
    await chmod(join(path, '..'), 0o775);
    const error = await expectRefusal('storage.permissions', () => createKeyFile(path, custodianKeys()));
    expect(error.message).to.contain(`chmod 700 ${join(path, '..')}`);
  });

  it('are not created from keys that could not be read again', async () => {
    const path = await newPath();
    const short = { ...custodianKeys(), prf: new SecretBytes(new Uint8Array(31)) };
    await expectRefusal('key.malformed', () => createKeyFile(path, short));
    await expectRefusal('key.missing', () => readKeyFile(path));
  });

  for (const mode of [0o640, 0o604, 0o660, 0o620, 0o610, 0o644, 0o601]) {
    it(`are refused with mode ${mode.toString(8)}, telling what to run`, async () => {
      const path = await written(document, mode);
      const error = await expectRefusal('key.permissions', () => readKeyFile(path));
      expect(error.message).to.contain(`chmod 600 ${path}`);
    });
  }

  for (const mode of [0o600, 0o400, 0o700]) {
    it(`are read with mode ${mode.toString(8)}`, async () => {
      expect((await readKeyFile(await written(document, mode))).id).to.equal('client-01');
    });
  }

  it('are read through a link, as container platforms mount them', async () => {
    const path = await written(document);
    const mounted = join(await temporaryDirectory(), 'key.json');
    await symlink(path, mounted);
    expect((await readKeyFile(mounted)).id).to.equal('client-01');
  });

  it('are refused through a link to a file that others may read', async () => {
    const path = await written(document, 0o644);
    const mounted = join(await temporaryDirectory(), 'key.json');
    await symlink(path, mounted);
    await expectRefusal('key.permissions', () => readKeyFile(mounted));
  });

  it('are not directories, pipes or large files', async () => {
    const directory = await temporaryDirectory();
    await expectRefusal('key.malformed', () => readKeyFile(directory));
    const pipe = join(directory, 'pipe');
    execFileSync('mkfifo', ['-m', '600', pipe]);
    await expectRefusal('key.malformed', () => readKeyFile(pipe));
    const large = join(directory, 'large');
    const file = await open(large, 'w', 0o600);
    await file.truncate(2 ** 40);
    await file.close();
    await expectRefusal('key.malformed', () => readKeyFile(large));
  });

  for (const [what, change] of [
    ['an unknown field', { extra: 1 }],
    ['another format', { format: 'pem' }],
    ['another version', { version: 2 }],
    ['another role', { role: 'admin' }],
    ['an empty id', { id: '' }],
    ['a date that is none', { created: 'yesterday' }],
    ['no signing key', { signing: {} }],
    ['an unknown signing key', { signing: { ...document.signing, rsa: base64Of('rsa') } }],
    ['a seed of 31 bytes', { prf: Buffer.alloc(31).toString('base64') }],
    ['a seed of 33 bytes', { prf: Buffer.alloc(33).toString('base64') }],
    ['a seed in base64url', { prf: Buffer.alloc(32, 0xff).toString('base64url') }],
    ['base64 with bits that stand for nothing', { prf: `${'A'.repeat(42)}B=` }],
    ['two KEM keys of one epoch', { kem: [1, 1].map((epoch) => ({ epoch, seed: base64Of('kem') })) }],
    ['a negative epoch', { kem: [{ epoch: -1, seed: base64Of('kem') }] }],
  ] as const) {
    it(`are refused with ${what}`, async () => {
      const path = await written({ ...document, ...change });
      await expectRefusal('key.malformed', () => readKeyFile(path));
    });
  }

  it('are refused without quoting what is in them', async () => {
    const secret = 'c2VjcmV0IHNlY3JldA';
    for (const content of [
      `{"format": "${secret}`,
      `${secret}`,
      JSON.stringify({ ...document, prf: secret }),
      JSON.stringify({ ...document, [secret]: secret }),
      JSON.stringify({ ...document, kem: [{ epoch: secret, seed: secret }] }),
    ]) {
      const path = await written(content);
      const error = await expectRefusal('key.malformed', () => readKeyFile(path));
      expect(inspect(error, { depth: null, showHidden: true })).to.not.contain(secret.slice(0, 6));
    }
  });

  it('print none of their secrets once read', async () => {
    const path = await newPath();
    await createKeyFile(path, custodianKeys());
    const keys = await readKeyFile(path);
    const printed =
      inspect(keys, { depth: null, showHidden: true }) + JSON.stringify(keys) + String(keys.prf);
    for (const name of ['ed25519', 'ml-dsa-65', 'epoch 1', 'epoch 2', 'prf']) {
      expect(printed).to.not.contain(base64Of(name));
      expect(printed).to.not.contain(Buffer.from(bytes32(name)).toString('hex'));
    }
  });

  it('leave no usable secret in memory once wiped', async () => {
    const path = await newPath();
    await createKeyFile(path, custodianKeys());
    const keys = await readKeyFile(path);
    wipeKeys(keys);
    const secrets = [
      keys.signing.ed25519,
      keys.signing['ml-dsa-65'],
      keys.prf,
      ...keys.kem.map((key) => key.seed),
    ];
    expect(secrets).to.have.length(5);
    for (const secret of secrets) {
      await expectRefusal('key.wiped', () => plain(secret));
    }
  });
});

describe('KEM keys in a key file', () => {
  it('are added under a new epoch, the other keys staying', async () => {
    const path = await newPath();
    await createKeyFile(path, custodianKeys());
    await addKemKey(path, { epoch: 3, seed: seedOf('epoch 3') });
    const keys = await readKeyFile(path);
    expect(keys.kem.map((key) => key.epoch)).to.deep.equal([1, 2, 3]);
    expect(plain(keys.kem[2]?.seed)).to.equal(base64Of('epoch 3'));
    expect(plain(keys.signing.ed25519)).to.equal(base64Of('ed25519'));
    expect((await stat(path)).mode & 0o777).to.equal(0o600);
    expect(await readdir(join(path, '..'))).to.deep.equal(['key.json']);
  });

  it('never replace the key of an epoch', async () => {
    const path = await newPath();
    await createKeyFile(path, custodianKeys());
    await expectRefusal('key.exists', () => addKemKey(path, { epoch: 2, seed: seedOf('another') }));
    expect(plain((await readKeyFile(path)).kem[1]?.seed)).to.equal(base64Of('epoch 2'));
  });

  it('are destroyed in the file and in the blocks that it lay in', async () => {
    const path = await newPath();
    await createKeyFile(path, custodianKeys());
    const oldBlocks = `${path}.old`;
    await link(path, oldBlocks);
    await destroyKemKey(path, 1);
    expect((await readKeyFile(path)).kem.map((key) => key.epoch)).to.deep.equal([2]);
    expect(await readFile(path, 'utf8')).to.not.contain(base64Of('epoch 1'));
    expect((await readFile(oldBlocks)).every((byte) => byte === 0)).to.equal(true);
    await expectRefusal('key.no-epoch', () => destroyKemKey(path, 1));
  });

  it('are changed by one process at a time, which loses no change', async () => {
    const path = await newPath();
    await createKeyFile(path, { ...custodianKeys(), kem: [] });
    const epochs = [1, 2, 3, 4, 5, 6, 7, 8];
    const results = await Promise.allSettled(
      epochs.map((epoch) => addKemKey(path, { epoch, seed: seedOf(`epoch ${epoch}`) })),
    );
    const added = epochs.filter((_, index) => results[index]?.status === 'fulfilled');
    expect(added).to.not.be.empty;
    expect((await readKeyFile(path)).kem.map((key) => key.epoch).sort()).to.deep.equal(added);
    await addKemKey(path, { epoch: 9, seed: seedOf('epoch 9') });
  });

  it('are not changed under a lock that a killed process left, which the message names', async () => {
    const path = await newPath();
    await createKeyFile(path, custodianKeys());
    await writeFile(`${path}.lock`, '');
    const error = await expectRefusal('key.locked', () => destroyKemKey(path, 1));
    expect(error.message).to.contain(`${path}.lock`);
    expect((await readKeyFile(path)).kem).to.have.length(2);
  });

  it('are not changed through a link, which would leave the destroyed key where the link points', async () => {
    const path = await newPath();
    await createKeyFile(path, custodianKeys());
    const linked = join(await temporaryDirectory(), 'key.json');
    await symlink(path, linked);
    await expectRefusal('key.symlink', () => destroyKemKey(linked, 1));
    expect((await readKeyFile(linked)).kem).to.have.length(2);
  });

  it('are not changed in a file that is missing or open to others', async () => {
    const path = await newPath();
    await expectRefusal('key.missing', () => destroyKemKey(path, 1));
    await createKeyFile(path, custodianKeys());
    await chmod(path, 0o644);
    await expectRefusal('key.permissions', () => destroyKemKey(path, 1));
    expect(await readdir(join(path, '..'))).to.deep.equal(['key.json']);
  });
});
