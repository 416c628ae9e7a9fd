import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { withPrivateTemporary } from '../../lib/cli/private-temporary.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

describe('a private temporary directory', () => {
  let parent: string;
  beforeEach(async () => {
    parent = await temporaryDirectory();
  });

  it("is its owner's alone, and gone with what is in it, also after an error", async () => {
    const listeners = process.listenerCount('SIGTERM');
    const use = (end: () => number) =>
      withPrivateTemporary(parent, async (directory) => {
        expect((await stat(directory)).mode & 0o777).to.equal(0o700);
        await writeFile(join(directory, 'plaintext'), 'x');
        return end();
      });
    expect(await use(() => 7)).to.equal(7);
    expect(await readdir(parent)).to.deep.equal([]);
    const failed = await use(() => {
      throw new RangeError('as it was thrown');
    }).catch((error: unknown) => error);
    expect(failed).to.be.instanceOf(RangeError);
    expect(await readdir(parent)).to.deep.equal([]);
    expect(process.listenerCount('SIGTERM')).to.equal(listeners);
  });

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    it(`is gone when ${signal} ends the process, which ends by it`, async () => {
      const module = JSON.stringify(import.meta.resolve('../../lib/cli/private-temporary.js'));
      const script = `
        import { writeFileSync } from 'node:fs';
        import { withPrivateTemporary } from ${module};
        await withPrivateTemporary(process.argv[1], async (directory) => {
          writeFileSync(directory + '/plaintext', 'x');
          process.stdout.write('ready');
          await new Promise((resolve) => setTimeout(resolve, 60_000));
        });`;
      const child = spawn(process.execPath, ['--input-type=module', '-e', script, parent]);
      const ended = once(child, 'exit');
      await once(child.stdout, 'data');
      expect(await readdir(parent)).to.have.length(1);
      child.kill(signal);
      expect(await ended).to.deep.equal([null, signal]);
      expect(await readdir(parent)).to.deep.equal([]);
    });
  }
});
