import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { copyDirectory } from '../../../../examples/mujoco-fleet/operation/copied-directory.js';
import { createReleaseState, openReleaseState } from '../../../../lib/index.js';
import { temporaryDirectory } from '../../../support/temporary-directory.js';

describe('a copy of a role', () => {
  it('has what is in the log of a database that is open, and leaves the log itself behind', async () => {
    const directory = await temporaryDirectory();
    const from = join(directory, 'client');
    await mkdir(join(from, 'keys'), { recursive: true, mode: 0o700 });
    await writeFile(join(from, 'keys', 'secret'), 'a key', { mode: 0o600 });
    const state = await createReleaseState(from);
    try {
      const release = new Uint8Array(32).fill(1);
      const adapterFingerprint = new Uint8Array(32).fill(2);
      state.record({ fleet: 'fleet', policy: 'policy', counter: 1, release, adapterFingerprint }, 1);
      expect((await stat(join(from, 'releases.sqlite-wal'))).size).to.be.above(0);
      const to = join(directory, 'future', 'client');
      await copyDirectory(from, to);
      expect((await readdir(to)).sort()).to.deep.equal(['keys', 'releases', 'releases.sqlite']);
      expect(await readFile(join(to, 'keys', 'secret'), 'utf8')).to.equal('a key');
      expect((await stat(join(to, 'keys', 'secret'))).mode & 0o777).to.equal(0o600);
      const copy = await openReleaseState(to);
      try {
        expect(copy.taken('fleet', 'policy').map(({ counter }) => counter)).to.deep.equal([1]);
      } finally {
        copy.close();
      }
    } finally {
      state.close();
    }
  });
});
