import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect } from 'chai';
import { SumDirectories } from '../../../lib/server/rounds/sum-directories.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

const MODULE = import.meta.resolve('../../../lib/server/rounds/sum-directories.js');

/** A process that has begun a sum. @returns its directory, and what ends it as a power cut does */
async function summing(aggregator: string, root: string) {
  const script = `
    const { SumDirectories } = await import(${JSON.stringify(MODULE)});
    const path = await (await SumDirectories.of(${JSON.stringify(aggregator)}, ${JSON.stringify(root)})).make();
    console.log(path);
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [path] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  await writeFile(join(path, 'aggregate.tga'), 'half of a sum');
  return {
    path,
    kill: async () => {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}

describe('where sums are made', function () {
  this.timeout(30_000);

  let root: string;
  let aggregator: string;
  beforeEach(async () => {
    const directory = await temporaryDirectory();
    [root, aggregator] = [join(directory, 'tmp'), join(directory, 'aggregator')];
    await mkdir(root);
    await mkdir(aggregator);
  });

  it('is cleared of what a killed process has left, and not of what a living one is making', async () => {
    const [killed, alive] = await Promise.all([summing(aggregator, root), summing(aggregator, root)]);
    await killed.kill();
    const own = await SumDirectories.of(aggregator, root);
    const made = await own.make();
    try {
      expect(await own.removeLeftovers()).to.equal(1);
      expect((await readdir(root)).sort()).to.deep.equal([basename(alive.path), basename(made)].sort());
    } finally {
      await alive.kill();
    }
    expect(await own.removeLeftovers()).to.equal(1);
    expect(await readdir(root)).to.deep.equal([basename(made)]);
  });

  it('is cleared of what an earlier process of the same number has left, as in a container', async () => {
    const own = await SumDirectories.of(aggregator, root);
    const made = basename(await own.make());
    const earlier = made.replace(/-[0-9a-f]{8}-/, '-00000000-');
    await mkdir(join(root, earlier));
    expect(await own.removeLeftovers()).to.equal(1);
    expect(await readdir(root)).to.deep.equal([made]);
  });

  it('leaves alone what is of another aggregator, of another program, or no directory', async () => {
    const other = join(aggregator, '..', 'another');
    await mkdir(other);
    const others = await summing(other, root);
    await others.kill();
    const own = await SumDirectories.of(aggregator, root);
    const mine = basename(await own.make()).replace(/-[0-9a-f]{8}-/, '-00000000-');
    await rm(join(root, basename(await own.make())), { recursive: true });
    await symlink(other, join(root, mine));
    await mkdir(join(root, 'tensorguard-sum-notours'));
    const before = await readdir(root);
    expect(await own.removeLeftovers()).to.equal(0);
    expect(await readdir(root)).to.deep.equal(before);
  });
});
