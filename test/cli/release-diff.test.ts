import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import { openReleaseState } from '../../lib/custody/release/release-state.js';
import { writeAdapter } from '../round/support/adapters.js';
import { ServedTestFleet } from '../server/support/served-fleet.js';
import { type TestRelease, TestReleases } from '../server/support/test-releases.js';
import { refuse, succeed, tensorguard } from './support/command.js';

describe('release diff', function () {
  this.timeout(120_000);

  let fleet: ServedTestFleet;
  let first: TestRelease;
  let second: TestRelease;
  let client: string;
  before(async () => {
    fleet = await ServedTestFleet.create(4);
    const test = new TestReleases(fleet);
    first = await test.make(await test.adapter('first'));
    second = await test.make(await test.adapter('second'));
    client = fleet.role('client-1');
  });

  const here = () => ({ cwd: fleet.directory });
  /** Beside SQLite's own side files, which come and go. */
  const names = async (): Promise<string[]> =>
    (await readdir(client)).filter((name) => !/\.sqlite-(wal|shm)$/.test(name)).sort();

  it('compares releases as it compares the adapters that they carry, and leaves the client as it was', async () => {
    const before = await names();
    const record = await readFile(`${client}/releases.sqlite`);
    const plain = await succeed(['release', 'diff', first.adapter, second.adapter], here());
    const sealed = await succeed(['release', 'diff', first.path, second.path, '--client', client], here());
    const { a, b, ...differences } = sealed.document;
    expect({ a, b }).to.deep.equal({
      a: { path: first.path, counter: 1 },
      b: { path: second.path, counter: 2 },
    });
    const { a: _, b: _b, ...expected } = plain.document;
    expect(differences).to.deep.equal(expected);
    expect(await names()).to.deep.equal(before);
    expect((await readFile(`${client}/releases.sqlite`)).equals(record)).to.equal(true);
    const state = await openReleaseState(client);
    expect(state.taken('acme', 'balanced')).to.deep.equal([]);
    state.close();
  });

  it('prints the largest relative change first, and a total', async () => {
    const { document } = await succeed(
      ['release', 'diff', first.adapter, second.path, '--client', client],
      here(),
    );
    const tensors = document['tensors'] as { name: string; relative: number }[];
    expect(tensors.length).to.be.above(1);
    const ended = await tensorguard(['release', 'diff', first.adapter, second.adapter], here());
    expect(ended).to.include({ exitCode: 0, stderr: '' });
    const lines = ended.stdout.trimEnd().split('\n');
    expect(lines[3]).to.match(new RegExp(`%.* ${tensors[0]?.name}$`));
    expect(lines.at(-1)).to.match(new RegExp(`total of ${tensors.length} tensors$`));
    const byModule = await tensorguard(
      ['release', 'diff', first.adapter, second.adapter, '--by', 'module'],
      here(),
    );
    expect(byModule.stdout.split('\n')).to.have.length.below(ended.stdout.split('\n').length);
  });

  it('shows settings, tensors of one side and other shapes', async () => {
    const a = await writeAdapter(fleet.at('a'), 'a');
    const shapes = [
      { name: 'base_model.model.layers.0.q_proj.lora_A.weight', shape: [4, 32] },
      { name: 'base_model.model.other.lora_B.weight', shape: [8, 4] },
    ];
    const b = await writeAdapter(fleet.at('b'), 'b', { shapes, config: { lora_alpha: 99 } });
    const { stdout } = await tensorguard(['release', 'diff', a, b], here());
    expect(stdout).to.contain('setting lora_alpha: 8, then 99');
    expect(stdout).to.contain('only in A: base_model.model.layers.0.v_proj.lora_B.weight');
    expect(stdout).to.contain('only in B: base_model.model.other.lora_B.weight');
    expect(stdout).to.contain(
      'other shape: base_model.model.layers.0.q_proj.lora_A.weight: [4, 160], then [4, 32]',
    );
    expect(stdout).to.contain('total of 0 tensors');
  });

  it('refuses a release without a client, one of another role, and one that is damaged, and leaves nothing', async () => {
    const before = await names();
    const diff = (path: string, ...options: string[]): string[] => [
      'release',
      'diff',
      first.adapter,
      path,
      ...options,
    ];
    await refuse(diff(second.path), here(), { exitCode: 2, code: 'usage.client' });
    await refuse(diff(fleet.at('nothing')), here(), { exitCode: 1, code: 'adapter.file-missing' });
    await refuse(diff(second.path, '--client', fleet.role('owner')), here(), {
      exitCode: 1,
      code: 'key.wrong-role',
    });
    const bytes = await readFile(second.path);
    bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
    await writeFile(fleet.at('damaged.tgr'), bytes);
    await refuse(diff(fleet.at('damaged.tgr'), '--client', client), here(), {
      exitCode: 1,
      code: 'container.digest-mismatch',
    });
    await rm(fleet.at('damaged.tgr'));
    expect(await names()).to.deep.equal(before);
    expect(
      (await readdir(fleet.role('owner'))).filter((name) => name.startsWith('.tensorguard')),
    ).to.deep.equal([]);
  });
});
