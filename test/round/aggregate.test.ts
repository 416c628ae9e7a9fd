import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { contributions } from '../../lib/custody/contributions.js';
import { compareBytes } from '../../lib/package/fingerprint.js';
import { openContainer } from '../../lib/package/reader.js';
import { type AggregateOptions, aggregateUpdates } from '../../lib/round/aggregate.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { pathsBelow } from './support/directories.js';
import { craftUpdate } from './support/forgery.js';
import { TestRound } from './support/round.js';

describe('aggregating updates', () => {
  let round: TestRound;
  let updates: string[];

  before(async () => {
    round = await TestRound.start(await temporaryDirectory(), { clients: 9 });
    updates = await round.sealAll([1, 2, 3, 4]);
  });

  function options(paths: AggregateOptions['updates'], changes: Partial<AggregateOptions> = {}) {
    return round.aggregating(paths, changes);
  }

  it('keeps the signed envelope and the sealed shares of each, in the order of the fingerprints', async () => {
    const aggregating = options([...updates].reverse());
    expect(await aggregateUpdates(aggregating)).to.include({ accepted: 4 });
    const aggregate = await openContainer(aggregating.out, 'aggregate');
    const files = new Map<string, Buffer>();
    for (const path of updates) {
      const update = await openContainer(path, 'update');
      files.set(Buffer.from(update.fingerprint).toString('hex'), await readFile(path));
      await update.close();
    }
    const order: Uint8Array[] = [];
    for await (const { envelope, shares } of contributions(aggregate, round.plan)) {
      const file = files.get(Buffer.from(envelope.fingerprint).toString('hex')) as Buffer;
      expect(file.subarray(0, envelope.envelopeBytes.length)).to.deep.equal(
        Buffer.from(envelope.envelopeBytes),
      );
      expect(file.subarray(file.length - shares.length)).to.deep.equal(Buffer.from(shares));
      order.push(envelope.fingerprint);
    }
    expect(order).to.deep.equal([...order].sort(compareBytes));
    expect(order).to.have.length(4);
    await aggregate.close();
  });

  it('has the same sum, envelopes and shares whatever the order of the updates', async () => {
    const digests: unknown[] = [];
    for (const order of [updates, [...updates].reverse()]) {
      const aggregating = options(order);
      await aggregateUpdates(aggregating);
      const aggregate = await openContainer(aggregating.out, 'aggregate');
      digests.push({ sections: aggregate.header.sections, body: aggregate.body });
      await aggregate.close();
    }
    expect(digests[1]).to.deep.equal(digests[0]);
  });

  it('leaves out what must be refused, and says why of each', async () => {
    const duplicate = updates[0] as string;
    const second = await round.file('.tgu', await craftUpdate(round.plan, round.client(1)));
    const broken = await round.file('.tgu', (await readFile(updates[3] as string)).subarray(0, 5000));
    const strange = await round.file('.tgu', Buffer.from('not an update at all'));
    const missing = join(round.directory, 'missing.tgu');
    const aggregating = options([...updates.slice(0, 3), duplicate, second, broken, strange, missing]);
    const { accepted, refused } = await aggregateUpdates(aggregating);
    expect(accepted).to.equal(3);
    const aggregate = await openContainer(aggregating.out, 'aggregate');
    await aggregate.close();
    expect(aggregate.body.refused).to.deep.equal(refused);
    expect(refused.map(({ code }) => code)).to.deep.equal([
      'update.duplicate-client',
      'update.duplicate-client',
      'container.truncated',
      'container.bad-magic',
      'container.unreadable',
    ]);
    expect(refused[1]).to.include({ client: 'client-1' });
    expect(refused[2]?.update).to.equal(undefined);
  });

  it('stops at the first such update where it is told to be strict, and writes nothing', async () => {
    const strange = await round.file('.tgu', Buffer.from('not an update at all'));
    const aggregating = options([...updates, strange], { strict: true });
    const before = await pathsBelow(round.directory);
    await expectRefusal('container.bad-magic', () => aggregateUpdates(aggregating));
    expect(await pathsBelow(round.directory)).to.deep.equal(before);
  });

  it('refuses fewer updates than the quorum, names what was wrong with the rest, and writes nothing', async () => {
    const strange = await round.file('.tgu', Buffer.from('not an update at all'));
    const aggregating = options([...updates.slice(0, 2), strange]);
    const before = await pathsBelow(round.directory);
    const error = await expectRefusal('aggregate.below-quorum', () => aggregateUpdates(aggregating));
    expect(error.message).to.include('2 updates of 3 files').and.to.include('container.bad-magic');
    expect(await pathsBelow(round.directory)).to.deep.equal(before);
  });

  it('takes no more updates than the plan decodes', async () => {
    const many = await round.sealAll([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    const { accepted, refused } = await aggregateUpdates(options(many));
    expect(accepted).to.equal(8);
    expect(refused.map(({ code }) => code)).to.deep.equal(['update.round-full']);
  });

  it('reports a client once although its first update was refused', async () => {
    const good = await round.sealAll([1, 2, 3]);
    const oversized = { ciphertext: new Uint8Array(8) };
    const bad = await round.file(
      '.tgu',
      await craftUpdate(round.plan, round.client(1), { sections: oversized }),
    );
    const { accepted, refused } = await aggregateUpdates(options([bad, ...good]));
    expect(accepted).to.equal(3);
    expect(refused.map(({ code, client }) => [code, client])).to.deep.equal([
      ['update.wrong-size', 'client-1'],
    ]);
  });

  it('says how far it has come after each update', async () => {
    const done: number[] = [];
    await aggregateUpdates(options(updates, { onProgress: (count) => done.push(count) }));
    expect(done).to.deep.equal([1, 2, 3, 4]);
  });
});
