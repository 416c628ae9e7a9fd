import { lstat, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { succeed } from './support/command.js';
import { CLIENTS, smallRound, writeSmallAdapters } from './support/small-round.js';
import { refuseAllUntouched, refuseUntouched } from './support/snapshot.js';

describe('fleet init', function () {
  this.timeout(60_000);

  let fleet = '';
  before(async () => {
    fleet = join((await smallRound()).directory, 'fleet');
  });

  it('lays the fleet out as documented, a directory a role', async () => {
    expect(await readdir(fleet)).to.have.members([
      'fleet.json',
      'roster.tgo',
      'owner',
      'coordinator',
      'aggregator',
      'clients',
      'custodians',
    ]);
    expect((await readdir(join(fleet, 'clients'))).sort()).to.deep.equal(
      Array.from({ length: CLIENTS }, (_, i) => `client-0${i + 1}`),
    );
    expect((await readdir(join(fleet, 'custodians'))).sort()).to.deep.equal(
      [1, 2, 3, 4].map((index) => `custodian-${index}`),
    );
  });

  it('gives key files and databases mode 0600 and directories 0700', async () => {
    let keyFiles = 0;
    for (const path of ['', ...(await readdir(fleet, { recursive: true }))]) {
      const status = await lstat(join(fleet, path));
      const mode = status.mode & 0o777;
      if (status.isDirectory()) expect(mode, path).to.equal(0o700);
      else if (/\.key$|\.sqlite(-\w+)?$/.test(path)) expect(mode, path).to.equal(0o600);
      if (path.endsWith('.key')) keyFiles += 1;
    }
    // A signing key each; a KEM key for clients, custodians and the owner; a PRF key for clients.
    expect(keyFiles).to.equal(3 + CLIENTS * 3 + 4 * 2 + 1);
  });

  it('makes every role keys of its own', async () => {
    const seeds: string[] = [];
    for (const path of await readdir(fleet, { recursive: true })) {
      if (!path.endsWith('.key')) continue;
      const { blob } = JSON.parse(await readFile(join(fleet, path), 'utf8')) as { blob: string };
      // Before it stands a digest of whose key it is, which would differ by itself.
      seeds.push(Buffer.from(blob, 'base64').subarray(32).toString('hex'));
    }
    expect(seeds).to.have.length(3 + CLIENTS * 3 + 4 * 2 + 1);
    expect(new Set(seeds)).to.have.property('size', seeds.length);
  });

  it('says what it made', async () => {
    const { document, stderr } = (await smallRound()).ended['fleet init'] as Awaited<
      ReturnType<typeof succeed>
    >;
    expect(document).to.include({ fleet: 'fleet', clients: CLIENTS, custodians: 4, threshold: 3 });
    expect(document['rosterFingerprint']).to.match(/^[0-9a-f]{64}$/);
    expect(stderr).to.equal('');
  });

  it('refuses a directory that holds anything, and leaves it alone', async () => {
    const cwd = await temporaryDirectory();
    await mkdir(join(cwd, 'taken'));
    await writeFile(join(cwd, 'taken', 'notes.txt'), 'mine');
    const message = await refuseUntouched(
      ['fleet', 'init', 'taken', '--clients', '3'],
      { cwd },
      { exitCode: 1, code: 'fleet.directory-not-empty' },
    );
    expect(message).to.include('taken');
  });

  it('warns of a quorum floor of 2, on stderr, and does it', async () => {
    const cwd = await temporaryDirectory();
    const args = ['fleet', 'init', 'pair', '--clients', '2', '--quorum-floor', '2'];
    const { stderr } = await succeed([...args, '--custodians', '1', '--threshold', '1'], { cwd });
    expect(stderr).to.match(/^Warning: .*quorum floor of 2.*subtract/);
    const { document } = await succeed(['inspect', 'pair/roster.tgo'], { cwd });
    expect(document['body']).to.include({ quorumFloor: 2, threshold: 1 });
  });

  it('gives every role a policy under which the fleet that was asked for can plan', async () => {
    const cwd = await temporaryDirectory();
    await writeSmallAdapters(cwd);
    const init = ['fleet', 'init', 'few', '--clients', '3', '--custodians', '3', '--threshold', '2'];
    await succeed(init, { cwd });
    const like = ['--like', 'adapters/start', '--explain'];
    await succeed(['plan', '--fleet', 'few', ...like], { cwd });
    await refuseUntouched(
      ['plan', '--fleet', 'few', ...like, '--set', 'encryption.custodianThreshold=3'],
      { cwd },
      { exitCode: 1, code: 'policy.threshold' },
    );
    const pair = ['fleet', 'init', 'pair', '--clients', '2', '--quorum-floor', '2'];
    await succeed(pair, { cwd });
    expect((await succeed(['plan', '--fleet', 'pair', ...like], { cwd })).document).to.include({ quorum: 2 });
    // Two groups of two of four could open two sets.
    await refuseUntouched(
      ['fleet', 'init', 'split', '--clients', '3', '--custodians', '4', '--threshold', '2'],
      { cwd },
      { exitCode: 1, code: 'policy.contradiction' },
    );
  });

  it('takes numbers and names that cannot be for usage errors', async () => {
    const cwd = await temporaryDirectory();
    const cases = [
      ['a threshold above the custodians', ['--custodians', '2', '--threshold', '3'], 'usage.threshold'],
      ['no clients', ['--clients', '0'], 'usage'],
      ['a quorum floor of 1', ['--quorum-floor', '1'], 'usage'],
      ['an unknown preset', ['--preset', 'reckless'], 'usage'],
      ['an unknown parameter set', ['--params', 'lwe-64'], 'usage'],
    ] as const;
    await refuseAllUntouched(
      cases.map(([what, more, code]) => ({
        what,
        args: ['fleet', 'init', 'fleet', '--clients', '3', ...more],
        exitCode: 2,
        code,
      })),
      { cwd },
    );
  });
});
