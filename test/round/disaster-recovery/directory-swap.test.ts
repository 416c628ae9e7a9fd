import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { DirectorySwap } from '../../../lib/round/disaster-recovery/directory-swap.js';
import { expectRefusal } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

async function withTarget() {
  const parent = await temporaryDirectory();
  const target = join(parent, 'role');
  await mkdir(join(target, 'keys'), { recursive: true, mode: 0o700 });
  await writeFile(join(target, 'keys', 'signing.key'), 'old key', { mode: 0o600 });
  return { parent, target, swap: new DirectorySwap(target) };
}

async function staged(swap: DirectorySwap): Promise<string> {
  const directory = await swap.stage();
  await writeFile(join(directory, 'new'), 'new');
  return directory;
}

describe('a directory put in the place of another', () => {
  it('replaces it whole, and leaves nothing beside it', async () => {
    const { parent, target, swap } = await withTarget();
    await swap.commit(await staged(swap));
    expect(await readdir(target)).to.deep.equal(['new']);
    expect(await readdir(parent)).to.deep.equal(['role']);
  });

  it('goes where there is none, or an empty one', async () => {
    for (const make of [false, true]) {
      const parent = await temporaryDirectory();
      const swap = new DirectorySwap(join(parent, 'role'));
      if (make) await mkdir(swap.target);
      await swap.commit(await staged(swap));
      expect(await readdir(swap.target)).to.deep.equal(['new']);
      expect(await readdir(parent)).to.deep.equal(['role']);
    }
  });

  it('is thrown away where it was not committed, and only then', async () => {
    const { parent, target, swap } = await withTarget();
    const directory = await staged(swap);
    await swap.abandon();
    expect(await readdir(parent)).to.deep.equal(['role']);
    const name = '.role.import-0123456789ab';
    const journal = { format: 'tensorguard-native import', version: 1, staged: name };
    await mkdir(join(parent, name));
    await writeFile(join(parent, name, 'new'), 'new');
    await writeFile(join(parent, '.role.import.json'), JSON.stringify(journal));
    await swap.abandon();
    expect(await readdir(join(parent, name))).to.deep.equal(['new']);
    await swap.resume();
    expect(await readdir(target)).to.deep.equal(['new']);
    expect(await readdir(parent)).to.deep.equal(['role']);
    expect(directory).to.not.equal(await swap.stage());
  });

  it('waits for somebody to decide where another directory was made in between', async () => {
    const { parent, target, swap } = await withTarget();
    const name = '.role.import-0123456789ab';
    const journal = { format: 'tensorguard-native import', version: 1, staged: name };
    await mkdir(join(parent, name));
    await writeFile(join(parent, '.role.import.json'), JSON.stringify(journal));
    await rename(target, join(parent, '.role.import-replaced'));
    await mkdir(target);
    await writeFile(join(target, 'made anew'), '');
    await expectRefusal('import.interrupted', () => swap.resume());
    expect(await readdir(target)).to.deep.equal(['made anew']);
    expect((await readdir(parent)).sort()).to.deep.equal([
      '.role.import-0123456789ab',
      '.role.import-replaced',
      '.role.import.json',
      'role',
    ]);
  });

  it('refuses a journal that it did not write, whatever that names', async () => {
    const { parent, target, swap } = await withTarget();
    for (const text of [
      'no JSON',
      '{}',
      '{"format":"tensorguard-native import","version":1,"staged":"../elsewhere"}',
      '{"format":"tensorguard-native import","version":1,"staged":".other.import-0123456789ab"}',
    ]) {
      await writeFile(join(parent, '.role.import.json'), text);
      await expectRefusal('import.journal-malformed', () => swap.resume());
    }
    expect(await readFile(join(target, 'keys', 'signing.key'), 'utf8')).to.equal('old key');
  });
});
