import { execFileSync } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { expect } from 'chai';
import { combineShares, type OfficerShare } from '../../../lib/custody/break-glass/officer-shares.js';
import type { RecoveryDescription } from '../../../lib/custody/break-glass/recovery-description.js';
import { readShareFile, writeShareFile } from '../../../lib/custody/break-glass/share-files.js';
import { hex } from '../../../lib/custody/fields.js';
import { expectRefusal } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { bytesOf, newRecovery, shows, withShareBytes } from './support/recovery.js';

describe('share files', () => {
  let recovery: RecoveryDescription;
  let shares: OfficerShare[];
  let ada: OfficerShare;
  let document: Record<string, unknown>;

  before(async () => {
    ({ recovery, shares } = await newRecovery());
    ada = shares[0] as OfficerShare;
    document = {
      format: 'tensorguard-native officer share',
      version: 1,
      fleet: 'fleet-a',
      role: 'custodian',
      id: 'custodian-1',
      setId: recovery.setId,
      officer: 'ada',
      share: Buffer.from(bytesOf(ada.share)).toString('base64'),
    };
  });

  async function newPath(): Promise<string> {
    return join(await temporaryDirectory(), 'shares', 'ada.json');
  }

  async function written(content: string | Uint8Array, mode = 0o600): Promise<string> {
    const path = join(await temporaryDirectory(), 'ada.json');
    await writeFile(path, content);
    await chmod(path, mode);
    return path;
  }

  /** What reading says, which must not show the share. */
  async function refuses(code: string, path: string): Promise<string> {
    const error = await expectRefusal(code, () => readShareFile(path));
    expect(shows(inspect(error, { depth: null, showHidden: true }), bytesOf(ada.share))).to.equal(false);
    return error.message;
  }

  it('give back the shares, which still recombine', async () => {
    const directory = await temporaryDirectory();
    const read: OfficerShare[] = [];
    for (const share of shares) {
      const path = join(directory, `${share.officer}.json`);
      await writeShareFile(path, share);
      read.push(await readShareFile(path));
    }
    expect(read.map(({ share, ...rest }) => [rest, hex(bytesOf(share))])).to.deep.equal(
      shares.map(({ share, ...rest }) => [rest, hex(bytesOf(share))]),
    );
    expect((await combineShares(recovery, read.slice(1))).sizeBytes).to.equal(32);
  });

  it('are JSON of the documented form', async () => {
    const path = await newPath();
    await writeShareFile(path, ada);
    expect(JSON.parse(await readFile(path, 'utf8'))).to.deep.equal(document);
  });

  it('have mode 0600 in a directory of mode 0700, whatever the umask', async () => {
    const path = await newPath();
    const before = process.umask(0);
    try {
      await writeShareFile(path, ada);
    } finally {
      process.umask(before);
    }
    expect((await stat(path)).mode & 0o777).to.equal(0o600);
    expect((await stat(join(path, '..'))).mode & 0o777).to.equal(0o700);
  });

  it('are never overwritten, nor written through a link, and leave nothing behind when refused', async () => {
    const path = await newPath();
    await writeShareFile(path, ada);
    const content = await readFile(path, 'utf8');
    const link = join(path, '..', 'link.json');
    await symlink(join(path, '..', 'elsewhere.json'), link);
    for (const taken of [path, link]) {
      await expectRefusal('break-glass.share-exists', () => writeShareFile(taken, shares[1] as OfficerShare));
    }
    expect(await readFile(path, 'utf8')).to.equal(content);
    expect((await readdir(join(path, '..'))).sort()).to.deep.equal(['ada.json', 'link.json']);
  });

  it('are not written where others could replace them', async () => {
    const path = await newPath();
    await mkdir(join(path, '..'));
    await chmod(join(path, '..'), 0o777);
    await expectRefusal('storage.permissions', () => writeShareFile(path, ada));
    expect(await readdir(join(path, '..'))).to.deep.equal([]);
  });

  it('are not written from shares that could not be read again', async () => {
    const path = await newPath();
    for (const wrong of [
      withShareBytes(ada, new Uint8Array(32)),
      { ...ada, officer: 'a b' },
      { ...ada, setId: 'x' },
    ]) {
      await expectRefusal('break-glass.malformed-share', () => writeShareFile(path, wrong));
    }
    await expectRefusal('break-glass.share-missing', () => readShareFile(path));
  });

  for (const mode of [0o640, 0o604, 0o610, 0o601, 0o660, 0o620, 0o602, 0o777]) {
    it(`are refused with mode ${mode.toString(8)}`, async () => {
      const path = await written(JSON.stringify(document), mode);
      expect(await refuses('break-glass.share-permissions', path)).to.contain(`chmod 600 ${path}`);
    });
  }

  it('are read through a link, by the mode of what it points to', async () => {
    const path = await written(JSON.stringify(document));
    const link = join(path, '..', 'link.json');
    await symlink(path, link);
    expect((await readShareFile(link)).officer).to.equal('ada');
    await chmod(path, 0o644);
    await refuses('break-glass.share-permissions', link);
  });

  it('are refused where there is none, or something else', async () => {
    const directory = await temporaryDirectory();
    await refuses('break-glass.share-missing', join(directory, 'none.json'));
    await refuses('break-glass.malformed-share', directory);
    const loop = join(directory, 'loop.json');
    await symlink(loop, loop);
    await refuses('break-glass.share-unreadable', loop);
    const pipe = join(directory, 'pipe.json');
    execFileSync('mkfifo', ['-m', '600', pipe]);
    await refuses('break-glass.malformed-share', pipe);
  });

  it('are refused when too large, however harmless the rest is', async () => {
    const text = JSON.stringify(document);
    await readShareFile(await written(text + ' '.repeat(4096 - text.length)));
    const message = await refuses('break-glass.malformed-share', await written(text + ' '.repeat(4096)));
    expect(message).to.contain('too large');
  });

  it('are refused when they are no JSON, or no UTF-8', async () => {
    const text = JSON.stringify(document);
    const faults = ['', text.slice(0, -1), text.slice(1), `${text}${text}`, Buffer.from([0xff, 0xfe])];
    for (const content of [...faults, text.replace('"share":', '"share":}')]) {
      await refuses('break-glass.malformed-share', await written(content));
    }
  });

  for (const [field, value] of [
    ['format', 'tensorguard-native key file'],
    ['version', 2],
    ['version', '1'],
    ['fleet', ''],
    ['role', 'officer'],
    ['id', '../x'],
    ['id', undefined],
    ['setId', 'F'.repeat(32)],
    ['officer', 'a\u0007'],
    ['officer', 'o'.repeat(65)],
    ['share', 'A'.repeat(43)],
    ['share', 'A'.repeat(48)],
    ['share', `${'A'.repeat(43)}=`],
    ['share', `${'A'.repeat(43)}-`],
    ['share', 7],
    ['share', undefined],
  ] as const) {
    it(`are refused with ${field} ${JSON.stringify(value)}`, async () => {
      const content = JSON.stringify({ ...document, [field]: value });
      expect(await refuses('break-glass.malformed-share', await written(content))).to.contain(
        `in: ${field}.`,
      );
    });
  }

  it('are refused with other fields, whose names may be secrets and are not quoted', async () => {
    const content = JSON.stringify({ ...document, [String(document.share)]: 1 });
    await refuses('break-glass.malformed-share', await written(content));
    await refuses('break-glass.malformed-share', await written(JSON.stringify([document])));
  });
});
