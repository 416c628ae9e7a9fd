import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { StoredTokens } from '../../lib/server/auth/stored-tokens.js';
import { BearerTokens } from '../../lib/server/auth/tokens.js';
import { ServedTestFleet } from '../server/support/served-fleet.js';
import { type TestRelease, TestReleases } from '../server/support/test-releases.js';
import { documentOf, type Ended, refuse, succeed, tensorguard } from './support/command.js';

type Entry = Record<string, unknown>;

describe('release list and release show', function () {
  this.timeout(120_000);

  let fleet: ServedTestFleet;
  const releases: TestRelease[] = [];
  let token: string;
  let verdict: string;
  before(async () => {
    fleet = await ServedTestFleet.create(4);
    const { context } = await fleet.start();
    const test = new TestReleases(fleet);
    releases.push(await test.released('first'), await test.released('second'));
    ({ fingerprint: verdict } = await test.evaluated(releases[1] as TestRelease, releases[0] as TestRelease));
    // Nobody reports: nothing is concluded while this runs.
    const analysis = { minimumEpisodes: 20, failureLimit: 0, telemetryTimeoutSeconds: 1800 };
    await test.start(2, { minimumDurationSeconds: 600, analysisIntervalSeconds: 300, analysis });
    releases.push(await test.publish(await test.make(await test.adapter('third'), { policy: 'sort' })));
    // Made, and not published.
    releases.push(await test.make(await test.adapter('fourth')));
    ({ token } = await new BearerTokens(new StoredTokens(context.store.state)).create('viewer', 'viewer', 1));
    await writeFile(fleet.at('viewer.token'), `${token}\n`, { mode: 0o600 });
  });
  after(() => fleet.stop());

  const at = (i: number): TestRelease => releases[i] as TestRelease;
  const here = () => ({ cwd: fleet.directory });
  const asViewer = (): string[] => [
    '--server',
    fleet.service.address,
    '--token-file',
    fleet.at('viewer.token'),
  ];
  const roster = (): string => fleet.at('fleet', 'owner', 'roster.tgo');

  function expectNoToken({ stdout, stderr }: Ended): void {
    expect(stdout + stderr).to.not.contain(token);
  }

  it('lists what a server has, which is current, and where each rollout is', async () => {
    const listed = await succeed(['release', 'list', ...asViewer()], here());
    expectNoToken(listed);
    const entries = listed.document['releases'] as Entry[];
    expect(entries.map(({ counter, policy, current }) => [counter, policy, current])).to.deep.equal([
      [3, 'sort', true],
      [2, 'balanced', false],
      [1, 'balanced', true],
    ]);
    expect(entries.map(({ rollout }) => (rollout as Entry | undefined)?.['phase'])).to.deep.equal([
      undefined,
      'canary',
      undefined,
    ]);
    const { document } = await succeed(['release', 'list', '--policy', 'sort', ...asViewer()], here());
    expect((document['releases'] as Entry[]).map(({ counter }) => counter)).to.deep.equal([3]);
    const { stdout } = await tensorguard(['release', 'list', ...asViewer()], here());
    expect(stdout.split('\n')[2]).to.match(/^ +2 .* balanced .* canary, step 1 of 3 \(10 percent\)$/);
  });

  it('lists the files of a directory, as verified only where a roster says so', async () => {
    const directory = fleet.at('fleet', 'owner', 'releases');
    const unverified = await succeed(['release', 'list', directory], here());
    const entries = unverified.document['releases'] as Entry[];
    expect(entries.map(({ counter }) => counter)).to.deep.equal([4, 3, 2, 1]);
    expect(entries.map(({ signatureVerified }) => signatureVerified)).to.deep.equal([
      false,
      false,
      false,
      false,
    ]);
    expect(entries[0]).to.include({
      recipients: 4,
      adapterFingerprint: at(3).reference.adapterFingerprint,
      file: join(directory, '4.tgr'),
    });
    const args = ['release', 'list', directory, '--policy', 'balanced', '--roster', roster()];
    const verified = (await succeed(args, here())).document['releases'] as Entry[];
    expect(verified.map(({ counter, signatureVerified }) => [counter, signatureVerified])).to.deep.equal([
      [4, true],
      [2, true],
      [1, true],
    ]);
  });

  it('says which files cannot be trusted, and ends with 1', async () => {
    const directory = fleet.at('mixed');
    await mkdir(join(directory, 'directory.tgr'), { recursive: true });
    await copyFile(at(0).path, join(directory, 'good.tgr'));
    const bytes = await readFile(at(1).path);
    await writeFile(join(directory, 'cut.tgr'), bytes.subarray(0, bytes.length - 1));
    const forged = Buffer.from(bytes);
    // A digit of the policy's name, which is signed.
    forged.write('c', forged.indexOf('balanced') + 2);
    await writeFile(join(directory, 'forged.tgr'), forged);
    await writeFile(join(directory, 'notes.txt'), 'no release');
    const ended = await tensorguard(['release', 'list', directory, '--roster', roster(), '--json'], here());
    expect(ended.exitCode).to.equal(1);
    const { releases: sound, unreadable } = documentOf(ended) as Record<'releases' | 'unreadable', Entry[]>;
    expect(sound.map(({ file }) => file)).to.deep.equal([join(directory, 'good.tgr')]);
    expect(
      unreadable.map(({ file, error }) => [
        (file as string).slice(directory.length + 1),
        (error as { code: string }).code.split('.')[0],
      ]),
    ).to.deep.equal([
      ['cut.tgr', 'container'],
      ['directory.tgr', 'container'],
      ['forged.tgr', 'container'],
    ]);
  });

  it('needs one source, and a roster for files alone', async () => {
    const usage = (code: string) => ({ exitCode: 2, code }) as const;
    await refuse(['release', 'list'], here(), usage('usage.one-source'));
    await refuse(['release', 'list', '.', ...asViewer()], here(), usage('usage.one-source'));
    await refuse(['release', 'list', '--roster', roster(), ...asViewer()], here(), usage('usage.roster'));
    await refuse(
      ['release', 'show', '1', '--roster', roster(), ...asViewer()],
      here(),
      usage('usage.roster'),
    );
    await refuse(['release', 'show', '1'], here(), usage('usage.server'));
    await refuse(['release', 'list', 'nowhere'], here(), {
      exitCode: 1,
      code: 'release.directory-unreadable',
    });
    await refuse(['release', 'list', '--server', fleet.service.address], here(), {
      exitCode: 1,
      code: 'auth.required',
    });
  });

  it("shows a server's release with the verdict on its adapter, metric by metric, and its rollout", async () => {
    const shown = await succeed(['release', 'show', '2', ...asViewer()], here());
    expectNoToken(shown);
    expect(shown.document).to.include({
      ...{ counter: 2, policy: 'balanced', recipients: 4, published: true, current: false },
      adapterFingerprint: at(1).reference.adapterFingerprint,
    });
    const found = shown.document['verdict'] as Entry;
    expect(found).to.include({ fingerprint: verdict, outcome: 'passed', attempt: 1 });
    const success = (found['metrics'] as Entry[])[0] as Entry;
    expect(success).to.include({ name: 'success-rate', outcome: 'passed' });
    expect(success).to.include.keys('atLeast', 'estimate', 'lower', 'upper', 'reason');
    expect(shown.document['rollout']).to.include({ rollout: 2, phase: 'canary' });
    const { stdout } = await tensorguard(['release', 'show', '2', ...asViewer()], here());
    expect(stdout).to.contain('Verdict: passed').and.to.contain('Rollout: canary, step 1 of 3');
    const first = await succeed(['release', 'show', '1', ...asViewer()], here());
    expect(first.document)
      .to.include({ counter: 1, current: true })
      .and.not.have.any.keys('verdict', 'rollout');
    await refuse(['release', 'show', '9', ...asViewer()], here(), {
      exitCode: 1,
      code: 'release.not-published',
    });
  });

  it('shows a file, and what a server says of the same one, but never of another with its counter', async () => {
    const alone = await succeed(['release', 'show', at(1).path], here());
    expect(alone.document).to.include({ counter: 2, signatureVerified: false });
    expect(alone.document).to.not.have.any.keys('published', 'verdict');
    const args = ['release', 'show', at(1).path, '--roster', roster(), ...asViewer()];
    const { document } = await succeed(args, here());
    expect(document).to.include({ signatureVerified: true, published: true });
    expect(document['rollout']).to.include({ phase: 'canary' });
    const unpublished = await succeed(['release', 'show', at(3).path, ...asViewer()], here());
    expect(unpublished.document).to.include({ counter: 4, published: false });
    const forged = await readFile(at(1).path);
    forged.write('c', forged.indexOf('balanced') + 2);
    await writeFile(fleet.at('forged.tgr'), forged);
    await refuse(['release', 'show', fleet.at('forged.tgr'), ...asViewer()], here(), {
      exitCode: 1,
      code: 'release.equivocation',
    });
    await refuse(['release', 'show', roster()], here(), { exitCode: 1, code: 'container.wrong-kind' });
  });

  it('shows of a rollback what it goes back to', async () => {
    const test = new TestReleases(fleet);
    const back = await test.make(at(0).adapter, { rollbackTo: 1 });
    const { document } = await succeed(['release', 'show', back.path], here());
    expect(document['rollback']).to.deep.equal({
      to: 1,
      withdrawn: [at(1), at(3)].map(({ reference }) => reference.adapterFingerprint).sort(),
    });
  });
});
