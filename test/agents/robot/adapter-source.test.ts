import { rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { AdapterSource, MARKER_FILE } from '../../../lib/agents/robot/adapter-source.js';
import { writeAdapter } from '../../round/support/adapters.js';
import { expectRefusal } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

const QUIET_MS = 1000;

describe("looking at a trainer's directory", () => {
  let directory: string;
  let now: number;
  let source: AdapterSource;

  beforeEach(async () => {
    directory = join(await temporaryDirectory(), 'adapter');
    now = 0;
    source = new AdapterSource({ directory, quietMs: QUIET_MS, now: () => now });
  });

  async function isStable(): Promise<boolean> {
    return (await source.look()) !== undefined;
  }

  it('sees nothing in a directory that is not there, and none in half an adapter', async () => {
    expect(await isStable()).to.equal(false);
    await writeAdapter(directory, 'first');
    await rm(join(directory, 'adapter_config.json'));
    now += 10 * QUIET_MS;
    expect(await isStable()).to.equal(false);
  });

  it('takes an adapter once nothing about it has changed for a while', async () => {
    await writeAdapter(directory, 'first');
    expect(await isStable()).to.equal(false);
    now += QUIET_MS - 1;
    expect(await isStable()).to.equal(false);
    now += 1;
    expect(await isStable()).to.equal(true);
  });

  it('waits anew after every change, of the time stamp alone as well', async () => {
    await writeAdapter(directory, 'first');
    await isStable();
    now += QUIET_MS;
    const before = await source.look();
    await utimes(join(directory, 'adapter_model.safetensors'), new Date(0), new Date(0));
    expect(await isStable()).to.equal(false);
    if (before !== undefined) expect(await source.isStill(before)).to.equal(false);
    now += QUIET_MS;
    expect((await source.look())?.signature).to.not.equal(before?.signature);
  });

  it('believes a marker that is not older than the files, and passes on what it says', async () => {
    await writeAdapter(directory, 'first');
    const base = 'ab'.repeat(32);
    await writeFile(join(directory, MARKER_FILE), JSON.stringify({ base }));
    const stable = await source.look();
    expect(stable?.isMarked).to.equal(true);
    expect(stable && (await source.marker(stable))).to.deep.equal({ base });
  });

  it('does not take the marker of the adapter before for one of the next', async () => {
    await writeAdapter(directory, 'first');
    await writeFile(join(directory, MARKER_FILE), '{}');
    await utimes(join(directory, MARKER_FILE), new Date(0), new Date(0));
    expect(await isStable()).to.equal(false);
    now += QUIET_MS;
    expect((await source.look())?.isMarked).to.equal(false);
  });

  it('refuses a marker that says something else', async () => {
    await writeAdapter(directory, 'first');
    await writeFile(join(directory, MARKER_FILE), '{"base": "../../etc"}');
    const stable = await source.look();
    await expectRefusal('agent.record-malformed', () => stable && source.marker(stable));
  });
});
