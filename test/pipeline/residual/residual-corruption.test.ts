import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { ResidualStore } from '../../../lib/pipeline/residual/residual-store.js';
import { bytes32 } from '../../custody/support/bytes.js';
import { expectRefusal } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { changeName, committedValues, filesOf, writeChange } from './support/fixtures.js';

/** Every proper prefix, an extra byte at the end, and one flipped bit in each byte. */
function* damaged(content: Buffer): Generator<{ what: string; bytes: Buffer }> {
  for (let length = 0; length < content.length; length += 1) {
    yield { what: `cut to ${length} bytes`, bytes: content.subarray(0, length) };
  }
  yield { what: 'a byte longer', bytes: Buffer.concat([content, Buffer.alloc(1)]) };
  for (let index = 0; index < content.length; index += 1) {
    const bytes = Buffer.from(content);
    const bit = 1 << (index % 8);
    bytes[index] = (bytes[index] as number) ^ bit;
    yield { what: `byte ${index} xor ${bit}`, bytes };
  }
}

describe('a residual file that is not what was written', () => {
  let root: string;
  let store: ResidualStore;
  let committedPath: string;
  let pendingPath: string;

  beforeEach(async () => {
    root = join(await temporaryDirectory(), 'residuals');
    store = await ResidualStore.open(root);
    await writeChange(store, 'u1', [1, 2, 3]);
    await store.commit(bytes32('u1'));
    await writeChange(store, 'u2', [10, 20, 30]);
    committedPath = join(root, 'pick.residual');
    pendingPath = join(root, changeName('u2'));
  });

  it('is refused wherever the committed residual is cut or flipped, by every call that reads it', async () => {
    const content = await readFile(committedPath);
    const change = await readFile(pendingPath);
    let count = 0;
    for (const { what, bytes } of damaged(content)) {
      await writeFile(committedPath, bytes);
      try {
        await expectRefusal('residual.corrupt', () => committedValues(store, 3));
        // With another schema key in hand, too: a flip must not look like a change of schema.
        await expectRefusal('residual.corrupt', () => committedValues(store, 3, 'pick', 'schema 2'));
        await expectRefusal('residual.corrupt', () => store.norm('pick', bytes32('schema 1')));
        await expectRefusal('residual.corrupt', () => store.commit(bytes32('u2')));
      } catch (error) {
        throw new Error(what, { cause: error });
      }
      expect(await readFile(committedPath), what).to.deep.equal(bytes);
      expect(await readFile(pendingPath), what).to.deep.equal(change);
      count += 1;
    }
    expect(count).to.equal(2 * content.length + 1);
    expect(await filesOf(root)).to.deep.equal([changeName('u2'), 'pick.residual']);

    await writeFile(committedPath, content);
    expect(await store.commit(bytes32('u2'))).to.equal('committed');
    expect(await committedValues(store, 3)).to.deep.equal([11, 22, 33]);
  }).timeout(60_000);

  it('is refused wherever a change is cut or flipped, and the committed residual stays', async () => {
    const content = await readFile(pendingPath);
    const committed = await readFile(committedPath);
    for (const { what, bytes } of damaged(content)) {
      await writeFile(pendingPath, bytes);
      try {
        await expectRefusal('residual.corrupt', () => store.commit(bytes32('u2')));
      } catch (error) {
        throw new Error(what, { cause: error });
      }
      expect(await readFile(committedPath), what).to.deep.equal(committed);
    }
    expect(await filesOf(root)).to.deep.equal([changeName('u2'), 'pick.residual']);
    expect(await store.discard(bytes32('u2'))).to.equal(true);
    expect(await committedValues(store, 3)).to.deep.equal([1, 2, 3]);
  }).timeout(60_000);

  it('allocates nothing for the count that a header claims', async () => {
    const bytes = Buffer.from(await readFile(committedPath));
    bytes.writeBigUInt64LE(2n ** 38n, 16);
    await writeFile(committedPath, bytes);
    const before = process.memoryUsage().arrayBuffers;
    await expectRefusal('residual.corrupt', () => committedValues(store, 3));
    expect(process.memoryUsage().arrayBuffers - before).to.be.lessThan(16 * 1024 * 1024);
  });

  it('says how to start from zero, which keeps the bad file and the changes that are pending', async () => {
    const bytes = (await readFile(committedPath)).subarray(0, 100);
    await writeFile(committedPath, bytes);
    store = await ResidualStore.open(root);
    const error = await expectRefusal('residual.corrupt', () => committedValues(store, 3));
    expect(error.message).to.contain('reset');
    expect(await readFile((await store.reset('pick')) ?? '')).to.deep.equal(bytes);
    expect(await committedValues(store, 3)).to.equal(undefined);
    expect(await store.commit(bytes32('u2'))).to.equal('committed');
    expect(await committedValues(store, 3)).to.deep.equal([10, 20, 30]);
  });

  it('keeps the change that it names, which is the last whole copy', async () => {
    const change = await readFile(pendingPath);
    await store.commit(bytes32('u2'));
    const committed = await readFile(committedPath);
    // A crash before the change was removed, and then a bad sector.
    await writeFile(pendingPath, change, { mode: 0o600 });
    committed[130] = (committed[130] as number) ^ 1;
    await writeFile(committedPath, committed);
    store = await ResidualStore.open(root);
    await expectRefusal('residual.corrupt', () => store.commit(bytes32('u2')));
    expect(await readFile(pendingPath)).to.deep.equal(change);
  });
});
