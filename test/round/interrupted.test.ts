import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { openContainer } from '../../lib/package/reader.js';
import { closeRound } from '../../lib/round/close-round.js';
import { copyUpdate } from '../../lib/round/seal-update.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { adapterValues, writeAdapter } from './support/adapters.js';
import { expectTensors, pathsBelow } from './support/directories.js';
import { expectAverage } from './support/expected-average.js';
import { atEveryWrite } from './support/power-cut.js';
import { TestRound } from './support/round.js';

/** What an action that must fail, for whatever reason, comes to. */
async function fails(action: () => Promise<unknown>): Promise<boolean> {
  return action().then(
    () => false,
    () => true,
  );
}

describe('a step that loses its power before any of its writes', () => {
  let template: TestRound;
  let updates: string[];
  let aggregate: string;
  let answers: string[];
  let average: ReadonlyMap<string, Float32Array>;

  before(async () => {
    template = await TestRound.start(await temporaryDirectory());
    // Client 1 has sealed nothing yet: its state is there, and empty.
    await template.asClient(1, async () => undefined);
    await template.adapter(1);
    const sealed = await template.copyTo(join(await temporaryDirectory(), 'sealed'));
    updates = await sealed.sealAll();
    aggregate = await sealed.aggregate(updates);
    answers = await sealed.answers(aggregate, [1, 2]);
    const { out } = await sealed.open(aggregate, answers);
    await expectAverage(out, await sealed.expected());
    average = await adapterValues(out);
    sealed.end();
  });

  async function freshCopy(): Promise<TestRound> {
    return template.copyTo(join(await temporaryDirectory(), 'round'));
  }

  it('leaves of sealing the update whole or not at all, never two, and the delta with this plan', async function () {
    this.timeout(120_000);
    const writes = await atEveryWrite(async (cut, at) => {
      const round = await freshCopy();
      const out = round.path('.tgu');
      await round.asClient(1, async () => undefined);
      await cut(async () => copyUpdate((await round.seal(1)).stored, out));
      const released = existsSync(out) ? await readFile(out) : undefined;
      const sealedDirectory = join(round.directory, 'client-1', 'sealed');
      for (const name of await pathsBelow(sealedDirectory)) {
        if (name.startsWith('.')) continue;
        const update = await openContainer(join(sealedDirectory, name), 'update');
        await update.verifySections();
        await update.close();
      }
      const { stored } = await round.seal(1);
      if (released !== undefined) {
        expect(released, `cut at write ${at}`).to.deep.equal(await readFile(stored));
      }
      const next = await round.next();
      await expectRefusal('client.delta-consumed', () => next.seal(1));
    });
    expect(writes).to.be.greaterThan(15);
  });

  it('leaves of aggregating the aggregate whole or not at all', async function () {
    this.timeout(120_000);
    const round = await freshCopy();
    const writes = await atEveryWrite(async (cut, at) => {
      const out = round.path('.tga');
      const ended = await cut(() => round.aggregateLeniently(updates, { out }));
      if (ended) expect(existsSync(out)).to.equal(true);
      if (!existsSync(out)) return;
      const container = await openContainer(out, 'aggregate');
      await container.verifySections();
      expect(container.body.accepted, `cut at write ${at}`).to.have.length(3);
      await container.close();
    });
    expect(writes).to.be.greaterThan(8);
  });

  it('leaves of opening the old adapter or the new one, and opens again', async function () {
    this.timeout(120_000);
    const states = new Set<string>();
    const writes = await atEveryWrite(async (cut, at) => {
      const round = await freshCopy();
      // Another configuration: that replacement takes two renames.
      const out = await writeAdapter(round.path('-average'), 'old', { config: { lora_alpha: 99 } });
      const old = await adapterValues(out);
      await cut(() => round.open(aggregate, answers, { out }));
      const isNew = await fails(() => expectTensors(out, old));
      states.add(isNew ? 'new' : 'old');
      if (isNew) {
        await expectTensors(out, average);
        const opened = await round.owner().records.outcome(round.plan.fingerprint);
        expect(opened, `cut at write ${at}: written before it was recorded`).not.to.equal(undefined);
      }
      await round.open(aggregate, answers, { out });
      await expectTensors(out, average);
    });
    expect([...states].sort()).to.deep.equal(['new', 'old']);
    expect(writes).to.be.greaterThan(15);
  });

  it('leaves of closing one record or none, and closes again to the same', async function () {
    this.timeout(120_000);
    const writes = await atEveryWrite(async (cut, at) => {
      const round = await freshCopy();
      let released: Uint8Array | undefined;
      await cut(async () => {
        released = (await closeRound(round.owner(), round.plan, aggregate, undefined)).record;
      });
      const kept = await round.owner().records.closed(round.plan.fingerprint);
      if (released !== undefined) {
        expect(kept, `cut at write ${at}: released before it was kept`).to.deep.equal(Buffer.from(released));
      }
      const { record } = await closeRound(round.owner(), round.plan, aggregate, undefined);
      if (kept !== undefined) expect(Buffer.from(record)).to.deep.equal(Buffer.from(kept));
      const container = await openContainer(record, 'close');
      await container.verify(template.members.owner.signing.publicKeys, ['ed25519']);
    });
    expect(writes).to.be.greaterThan(4);
  });
});

describe('a step that cannot write where it is told', () => {
  it('leaves nothing of the aggregate', async () => {
    const round = await TestRound.start(await temporaryDirectory());
    const updates = await round.sealAll();
    const outDirectory = join(await temporaryDirectory(), 'out');
    const blocked = join(outDirectory, 'A.tga');
    // A directory that is not empty cannot be replaced by a file.
    await writeAdapter(blocked, 'in the way');
    const before = await pathsBelow(outDirectory);
    const failed = await fails(() => round.aggregateLeniently(updates, { out: blocked }));
    expect(failed).to.equal(true);
    expect(await pathsBelow(outDirectory)).to.deep.equal(before);
  });

  it('leaves nothing of the average, which opens into another directory', async () => {
    const round = await TestRound.start(await temporaryDirectory());
    const aggregate = await round.aggregate(await round.sealAll());
    const answers = await round.answers(aggregate, [1, 2]);
    const file = await round.file('-file', Buffer.from('in the way'));
    const before = await pathsBelow(round.directory);
    expect(await fails(() => round.open(aggregate, answers, { out: file }))).to.equal(true);
    const added = (await pathsBelow(round.directory)).filter((path) => !before.includes(path));
    expect(added.filter((path) => !path.startsWith('owner'))).to.deep.equal([]);
    const { out } = await round.open(aggregate, answers);
    expect(await pathsBelow(out)).to.deep.equal(['adapter_config.json', 'adapter_model.safetensors']);
    round.end();
  });
});
