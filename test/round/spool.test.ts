import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { open, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { temporaryDirectory } from '../support/temporary-directory.js';

type Support = 'with-tmpfile' | 'without-tmpfile' | 'tidied-by-another';

interface Ended {
  readonly signal: NodeJS.Signals | null;
  readonly exitCode: number | null;
  readonly output: string;
}

const program = fileURLToPath(new URL('./support/spool-process.js', import.meta.url));

/** Runs spool-process.ts with `directory` as the system's temporary one. */
async function spool(directory: string, support: Support, killAfter = 0): Promise<Ended> {
  const child = spawn(process.execPath, [program, support, String(killAfter)], {
    env: { ...process.env, TMPDIR: directory, TEMP: directory, TMP: directory },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode, signal) => resolve({ exitCode, signal, output }));
  });
}

/** Kills a process after each of the calls that opening makes, in turn, and says what each left. */
async function killedAtEveryCall(support: Support): Promise<{ directory: string; left: string[] }[]> {
  const kills: { directory: string; left: string[] }[] = [];
  for (let call = 1; call < 20; call += 1) {
    const directory = await temporaryDirectory();
    const { signal, ...ended } = await spool(directory, support, call);
    if (signal === null) {
      expect(ended).to.deep.equal({ exitCode: 0, output: 'read back' });
      return kills;
    }
    expect(signal).to.equal('SIGKILL');
    kills.push({ directory, left: await readdir(directory) });
  }
  throw new Error('opening a spool has no end');
}

async function hasNamelessFiles(): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  const flags = 0o20000000 | constants.O_DIRECTORY | constants.O_RDWR;
  const file = await open(await temporaryDirectory(), flags).catch(() => undefined);
  await file?.close();
  return file !== undefined;
}

describe('a spool of which the process is killed', function () {
  this.timeout(60_000);

  it('leaves nothing behind where files can be made without a name, at most an empty file elsewhere', async () => {
    const atMost = (await hasNamelessFiles()) ? 0 : 1;
    const kills = await killedAtEveryCall('with-tmpfile');
    expect(kills).to.have.length.greaterThan(0);
    for (const { left } of kills) expect(left).to.have.length.at.most(atMost);
  });

  it('leaves at most an empty file where they cannot, which the next spool removes', async () => {
    const kills = await killedAtEveryCall('without-tmpfile');
    expect(kills.filter(({ left }) => left.length > 0)).to.have.length(1);
    for (const { directory, left } of kills) {
      for (const name of left) expect((await stat(join(directory, name))).size).to.equal(0);
      expect(await spool(directory, 'without-tmpfile')).to.include({ exitCode: 0, output: 'read back' });
      expect(await readdir(directory)).to.deep.equal([]);
    }
  });

  it('does not mind that another process removes the name of its file first', async () => {
    const directory = await temporaryDirectory();
    expect(await spool(directory, 'tidied-by-another')).to.include({ exitCode: 0, output: 'read back' });
    expect(await readdir(directory)).to.deep.equal([]);
  });

  it('takes no file for a left one that only resembles it', async () => {
    const directory = await temporaryDirectory();
    const others = [
      'tensorguard-notes.spool',
      `tensorguard-${'0'.repeat(24)}.spool.old`,
      'tensorguard.spool',
    ];
    await Promise.all(others.map((name) => writeFile(join(directory, name), 'kept')));
    await spool(directory, 'without-tmpfile');
    expect(await readdir(directory)).to.have.members(others);
  });
});
