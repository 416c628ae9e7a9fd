import { existsSync } from 'node:fs';
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { z } from 'zod';
import { AgentDirectory, readRecord, writeRecord } from '../../lib/agents/agent-directory.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

const schema = z.strictObject({ round: z.int() });

describe("an agent's directory", () => {
  it('has one agent at a time', async () => {
    const role = await temporaryDirectory();
    const order: string[] = [];
    let leave: () => void = () => undefined;
    const first = AgentDirectory.use(role, async () => {
      order.push('first');
      await new Promise<void>((resolve) => {
        leave = resolve;
      });
      order.push('first is done');
    });
    while (order.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const second = AgentDirectory.use(role, async () => {
      order.push('second');
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    leave();
    await Promise.all([first, second]);
    expect(order).to.deep.equal(['first', 'first is done', 'second']);
  });

  it('removes what an earlier agent was in the middle of', async () => {
    const role = await temporaryDirectory();
    const left = join(role, 'agent', 'tmp', 'work-killed');
    await mkdir(left, { recursive: true, mode: 0o700 });
    await writeFile(join(left, 'aggregate.tga'), 'half');
    await AgentDirectory.use(role, async () => expect(existsSync(left)).to.equal(false));
  });

  it('gives working directories that others cannot read, and removes them whatever happens', async () => {
    const role = await temporaryDirectory();
    await AgentDirectory.use(role, async (directory) => {
      let seen = '';
      const work = directory.withTemporary(async (temporary) => {
        seen = temporary;
        expect((await stat(temporary)).mode & 0o077).to.equal(0);
        await writeFile(join(temporary, 'file'), 'data');
        throw new Error('broken off');
      });
      await work.catch((error: Error) => expect(error.message).to.equal('broken off'));
      expect(seen).to.not.equal('');
      expect(existsSync(seen)).to.equal(false);
    });
    expect(await readdir(join(role, 'agent', 'tmp'))).to.deep.equal([]);
  });

  it('keeps records that only it can read, and refuses damaged ones by name', async () => {
    const path = join(await temporaryDirectory(), 'record.json');
    expect(await readRecord(path, schema)).to.equal(undefined);
    await writeRecord(path, { round: 3 });
    expect(await readRecord(path, schema)).to.deep.equal({ round: 3 });
    expect((await stat(path)).mode & 0o777).to.equal(0o600);
    for (const damaged of ['{"round": 3', '{"round": "3"}', '{"round": 3, "more": 1}', '']) {
      await writeFile(path, damaged);
      const error = await expectRefusal('agent.record-malformed', () => readRecord(path, schema));
      expect(error.message).to.include(path);
    }
  });
});
