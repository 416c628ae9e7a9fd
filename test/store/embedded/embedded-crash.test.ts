import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { openEmbeddedStore } from '../../../lib/store/embedded/embedded-store.js';
import type { Store } from '../../../lib/store/store.js';
import { atEveryKillPoint, ended } from '../../custody/support/child.js';
import { expectRefusal } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { taken } from '../conformance.js';
import type { EmbeddedStoreChildArgument } from '../support/embedded-store-child.js';
import { present, sha256, text } from '../support/values.js';

const CONTENTS = ['blob one', 'blob two', 'blob three'];
const BLOBS = CONTENTS.map(text);
const CHILD = fileURLToPath(new URL('../support/embedded-store-child.js', import.meta.url));

async function runChild(opening: boolean, killAt: number) {
  const root = await temporaryDirectory();
  const argument: EmbeddedStoreChildArgument = {
    directory: join(root, 'data'),
    notesPath: join(root, 'notes'),
    opening,
    contents: CONTENTS,
  };
  const child = fork(CHILD, [JSON.stringify(argument)], {
    env: { ...process.env, TENSORGUARD_TEST_KILL_AT: String(killAt) },
    execArgv: [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const { killed } = await ended(child);
  const notes = existsSync(argument.notesPath) ? readFileSync(argument.notesPath, 'utf8').split('\n') : [];
  return { killed, directory: argument.directory, notes: new Set(notes.filter((note) => note !== '')) };
}

async function expectAcknowledged(store: Store, notes: ReadonlySet<string>): Promise<void> {
  const value = await store.state.get('key');
  const stored = value === undefined ? 'nothing' : Buffer.from(value.value).toString();
  if (notes.has('updated')) expect(stored).to.equal('updated');
  else if (notes.has('created')) expect(stored).to.be.oneOf(['created', 'updated']);
  else expect(stored).to.be.oneOf(['nothing', 'created']);

  for (const [index, bytes] of BLOBS.entries()) {
    // Whole or not there: reading verifies.
    const found = await store.blobs.read(sha256(bytes));
    const acknowledged = notes.has('putMany') || (index === 0 && notes.has('put'));
    const removed = index === 0 && notes.has('putMany');
    if (acknowledged && !removed) expect(found).to.deep.equal(bytes);
    if (removed && notes.has('removed')) expect(found).to.equal(undefined);
  }

  const isNew = await store.queue.push('sum', 'task', text('payload'));
  if (notes.has('pushed') && !notes.has('taken')) expect(isNew).to.equal(false);
  if (notes.has('done')) expect(isNew).to.equal(true);
}

describe('the embedded store, its process killed', () => {
  it('between any two writes: has what it acknowledged, and nothing is left of what it did not', async () => {
    const reached = new Set<number>();
    const points = await atEveryKillPoint(async (killAt) => {
      const { killed, directory, notes } = await runChild(false, killAt);
      reached.add(notes.size);
      const store = await openEmbeddedStore(directory);
      expect(await readdir(join(directory, 'incoming'))).to.deep.equal([]);
      await expectAcknowledged(store, notes);
      // What was under way can be done again.
      for (const bytes of BLOBS) {
        await store.blobs.put(sha256(bytes), bytes);
        expect(await store.blobs.read(sha256(bytes))).to.deep.equal(bytes);
      }
      // Else it is leased, and comes when the lease ends.
      if (!notes.has('taken')) expect((await taken(store, 'sum')).payload).to.deep.equal(text('payload'));
      await store.close();
      return killed;
    });
    expect(points).to.be.greaterThan(15);
    expect([...reached].sort()).to.deep.equal([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  }).timeout(120_000);

  it('while it is made: can be made again', async () => {
    const points = await atEveryKillPoint(async (killAt) => {
      const { killed, directory } = await runChild(true, killAt);
      const store = await openEmbeddedStore(directory);
      const bytes = new Uint8Array(randomBytes(100));
      await store.blobs.put(sha256(bytes), bytes);
      expect(present(await store.state.create('new', text('value')))).to.be.greaterThan(0);
      await store.close();
      return killed;
    });
    expect(points).to.be.greaterThan(3);
  }).timeout(120_000);
});

describe('the files of the embedded store', () => {
  it('are for their user alone, and hold nothing half written', async () => {
    const directory = join(await temporaryDirectory(), 'data');
    const store = await openEmbeddedStore(directory);
    const bytes = text('blob');
    const digest = sha256(bytes);
    await store.blobs.put(digest, bytes);
    const path = join(directory, 'blobs', digest.slice(0, 2), digest);
    expect((await stat(path)).mode & 0o777).to.equal(0o600);
    expect((await stat(join(directory, 'store.sqlite'))).mode & 0o777).to.equal(0o600);
    expect((await stat(join(directory, 'blobs', digest.slice(0, 2)))).mode & 0o777).to.equal(0o700);
    expect(await readdir(join(directory, 'incoming'))).to.deep.equal([]);
    await store.close();
  });

  it('leave what a process that lives is writing, and go when they are old', async () => {
    const directory = join(await temporaryDirectory(), 'data');
    await (await openEmbeddedStore(directory)).close();
    const digest = sha256(text('blob'));
    const living = join(directory, 'incoming', `${digest}.${process.ppid}.0123456789abcdef.1`);
    // The process id that this one has now, of another process that had it before: in a container always the same.
    const former = join(directory, 'incoming', `${digest}.${process.pid}.0123456789abcdef.1`);
    for (const path of [living, former]) await writeFile(path, 'part of a bl', { mode: 0o600 });
    const store = await openEmbeddedStore(directory);
    expect([existsSync(living), existsSync(former)]).to.deep.equal([true, false]);
    await store.collectLeftovers({ olderThanMs: -1_000 });
    expect(existsSync(living)).to.equal(false);
    await store.close();
  });

  it('are refused when the database is missing and the blobs are not', async () => {
    const directory = join(await temporaryDirectory(), 'data');
    await (await openEmbeddedStore(directory)).close();
    await rm(join(directory, 'store.sqlite'));
    await expectRefusal('storage.missing', () => openEmbeddedStore(directory));
  });

  it("are refused when the database is damaged, another program's, or open to others", async () => {
    const directory = join(await temporaryDirectory(), 'data');
    await (await openEmbeddedStore(directory)).close();
    const path = join(directory, 'store.sqlite');
    await chmod(path, 0o644);
    await expectRefusal('storage.permissions', () => openEmbeddedStore(directory));
    await chmod(path, 0o600);
    const bytes = readFileSync(path);
    await writeFile(path, bytes.subarray(0, 5_000));
    await expectRefusal('store.corrupt', () => openEmbeddedStore(directory));
    const foreign = Buffer.from(bytes);
    // The application id, by which SQLite files are told apart.
    foreign.writeUInt32BE(1, 68);
    await writeFile(path, foreign);
    await expectRefusal('store.corrupt', () => openEmbeddedStore(directory));
    await chmod(directory, 0o777);
    await expectRefusal('storage.permissions', () => openEmbeddedStore(directory));
  });
});
