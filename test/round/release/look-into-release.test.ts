import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { lookIntoRelease } from '../../../lib/round/release/look-into-release.js';
import { expectRefusal } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { writeAdapter } from '../support/adapters.js';
import { type Released, ReleaseFleet } from './support/releases.js';

describe('looking into a release', () => {
  let fleet: ReleaseFleet;
  let a: string;
  let b: string;
  const releases: Released[] = [];
  before(async () => {
    fleet = await ReleaseFleet.start(await temporaryDirectory());
    a = await writeAdapter(join(fleet.directory, 'a'), 'a');
    b = await writeAdapter(join(fleet.directory, 'b'), 'b');
    releases.push(await fleet.create(a), await fleet.create(b), await fleet.create(a, { rollbackTo: 1 }));
  });

  async function look(file: string, clientId = 'client-1', keysOf = clientId): Promise<string> {
    const directory = await temporaryDirectory();
    await lookIntoRelease({
      ...{ file, clientId, directory },
      roster: fleet.roster,
      kemFor: fleet.kemFor(keysOf),
    });
    return directory;
  }

  it('opens old and withdrawn ones, for the eyes of their owner alone, and the client has taken what it had', async () => {
    await fleet.open((releases[0] as Released).file);
    await fleet.open((releases[2] as Released).file);
    for (const [i, adapter] of [a, b, a].entries()) {
      const directory = await look((releases[i] as Released).file);
      for (const name of ['adapter_config.json', 'adapter_model.safetensors']) {
        const found = await readFile(join(directory, name));
        expect(found.equals(await readFile(join(adapter, name))), name).to.equal(true);
        expect((await stat(join(directory, name))).mode & 0o777).to.equal(0o600);
      }
      expect(await fleet.taken()).to.deep.equal([1, 3]);
    }
    await expectRefusal('release.older', () => fleet.open((releases[1] as Released).file));
  });

  it('refuses what is not for the client, and what the owner did not sign', async () => {
    const [first] = fleet.recipients();
    const { file } = await fleet.create(a, { recipients: first === undefined ? [] : [first] });
    await look(file, 'client-1');
    await expectRefusal('release.not-a-recipient', () => look(file, 'client-2'));
    await expectRefusal('test.no-key', () => look((releases[0] as Released).file, 'client-1', 'client-2'));
    const forged = await readFile((releases[0] as Released).file);
    forged.write('lick', forged.indexOf('pick'));
    const path = join(fleet.directory, 'forged.tgr');
    await writeFile(path, forged);
    await expectRefusal('container.bad-signature', () => look(path));
  });
});
