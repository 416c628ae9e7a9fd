import { execFileSync } from 'node:child_process';
import { mkdtemp, open, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { CHUNK_BYTES } from '../../lib/package/layout.js';
import { openContainer } from '../../lib/package/reader.js';
import {
  containerBytes,
  encodeContainer,
  writeContainer,
  writeEncodedContainer,
} from '../../lib/package/writer.js';
import { codeOf, collect, ed25519Key, patterned, smallBodies, smallInput, updateWith } from './fixtures.js';

describe('a container in a file', () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'container-'));
  });

  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  it('is written whole, with the mode asked for, and read back', async () => {
    const path = join(directory, 'new', 'u.tgu');
    const ciphertext = patterned(3 * CHUNK_BYTES + 5);
    const shares = patterned(1000);
    const { sizeBytes } = await writeContainer(path, updateWith(ciphertext, shares), { mode: 0o600 });
    const container = await openContainer(path, 'update');
    try {
      expect(container.sizeBytes).to.equal(sizeBytes);
      expect(container.sectionLength('ciphertext')).to.equal(ciphertext.length);
      await container.verify(ed25519Key.publicKeys, ['ed25519']);
      await container.verifySections();
      expect(Buffer.compare(await container.readSection('ciphertext'), ciphertext)).to.equal(0);
      expect(await container.readSection('shares')).to.deep.equal(shares);
      const pieces = await collect(container.streamSection('ciphertext'));
      expect(pieces.map(({ length }) => length)).to.deep.equal([CHUNK_BYTES, CHUNK_BYTES, CHUNK_BYTES, 5]);
      expect(Buffer.compare(Buffer.concat(pieces), ciphertext)).to.equal(0);
    } finally {
      await container.close();
    }
    expect(await readdir(join(directory, 'new'))).to.deep.equal(['u.tgu']);
    expect((await stat(path)).mode & 0o777).to.equal(0o600);
  });

  it('is the same as in memory', async () => {
    const path = join(directory, 'a.tga');
    const encoded = await encodeContainer(smallInput('aggregate'));
    await writeEncodedContainer(path, encoded);
    expect(Uint8Array.from(await readFile(path))).to.deep.equal(containerBytes(encoded));
  });

  it('leaves what was there when the content is refused', async () => {
    const path = join(directory, 'c.tgc');
    await writeContainer(path, smallInput('close'));
    const before = await readFile(path);
    const bad = { ...smallInput('close'), body: { ...smallBodies().close, round: 0 } };
    expect(await codeOf(() => writeContainer(path, bad))).to.equal('container.invalid-body');
    expect((await readFile(path)).equals(before)).to.equal(true);
  });

  it('is refused when it is missing or a directory', async () => {
    const missing = () => openContainer(join(directory, 'no.tgu'), 'update');
    expect(await codeOf(missing)).to.equal('container.unreadable');
    expect(await codeOf(() => openContainer(directory, 'update'))).to.equal('container.not-a-file');
  });

  it('is refused, and not waited for, when it is a pipe that nobody writes to', async function () {
    if (process.platform === 'win32') this.skip();
    const path = join(directory, 'pipe.tgu');
    execFileSync('mkfifo', [path]);
    expect(await codeOf(() => openContainer(path, 'update'))).to.equal('container.not-a-file');
  });

  it('is refused when it is empty', async () => {
    const path = join(directory, 'empty.tgu');
    await writeFile(path, '');
    expect(await codeOf(() => openContainer(path, 'update'))).to.equal('container.truncated');
  });

  it('is found out when it is cut or changed after it was opened', async () => {
    const path = join(directory, 'u.tgu');
    await writeContainer(path, updateWith(patterned(2 * CHUNK_BYTES)));
    const container = await openContainer(path, 'update');
    const file = await open(path, 'r+');
    await file.write(Uint8Array.of(1, 2, 3), 0, 3, container.sizeBytes - 10);
    await file.close();
    expect(await codeOf(() => container.readSection('ciphertext'))).to.equal('container.digest-mismatch');
    await truncate(path, container.sizeBytes - 20);
    expect(await codeOf(() => container.readSection('ciphertext'))).to.equal('container.truncated');
    await container.close();
  });

  it('is closed again when it is refused', async function () {
    if (process.platform !== 'linux') this.skip();
    const path = join(directory, 'bad.tgu');
    await writeFile(path, 'not a container, but long enough to be one');
    const openFiles = async () => (await readdir('/proc/self/fd')).length;
    const before = await openFiles();
    for (let i = 0; i < 20; i++) await codeOf(() => openContainer(path, 'update'));
    expect(await openFiles()).to.be.at.most(before + 2);
  });

  it('can be left in the middle of a stream', async () => {
    const path = join(directory, 'u.tgu');
    await writeContainer(path, updateWith(patterned(4 * CHUNK_BYTES)));
    const container = await openContainer(path, 'update');
    for await (const piece of container.streamSection('ciphertext')) {
      expect(piece).to.have.length(CHUNK_BYTES);
      break;
    }
    await container.close();
  });
});
