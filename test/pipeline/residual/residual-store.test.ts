import { chmod, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { ResidualStore } from '../../../lib/pipeline/residual/residual-store.js';
import { bytes32 } from '../../custody/support/bytes.js';
import { expectRefusal } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { changeName, committedValues, filesOf, shapeOf, writeChange } from './support/fixtures.js';
import { arm, disarm } from './support/write-point.js';

describe('the residual store', () => {
  let root: string;
  let store: ResidualStore;

  beforeEach(async () => {
    root = join(await temporaryDirectory(), 'residuals');
    store = await ResidualStore.open(root);
  });

  it('counts a policy without a file as zero', async () => {
    expect(await committedValues(store, 3)).to.equal(undefined);
    expect(await store.norm('pick', bytes32('schema 1'))).to.equal(undefined);
    expect(await store.pending()).to.deep.equal([]);
  });

  it('does not count a change before it is committed', async () => {
    await writeChange(store, 'u', [1, 2, 3]);
    expect(await committedValues(store, 3)).to.equal(undefined);
    expect(await store.pending()).to.deep.equal([bytes32('u')]);
  });

  it('adds changes of several open rounds up, in whatever order they are closed', async () => {
    await writeChange(store, 'u1', [1, 2, 3]);
    await writeChange(store, 'u2', [10, 20, 30]);
    await writeChange(store, 'u3', [100, 200, 300]);
    expect(await store.commit(bytes32('u3'))).to.equal('committed');
    expect(await store.discard(bytes32('u2'))).to.equal(true);
    expect(await store.commit(bytes32('u1'))).to.equal('committed');
    expect(await committedValues(store, 3)).to.deep.equal([101, 202, 303]);
    expect(await store.norm('pick', bytes32('schema 1'))).to.equal(Math.sqrt(101 ** 2 + 202 ** 2 + 303 ** 2));
    expect(await filesOf(root)).to.deep.equal(['pick.residual']);
  });

  it('adds in float64 and rounds once', async () => {
    await writeChange(store, 'u1', [16777216, 0.1]);
    await store.commit(bytes32('u1'));
    await writeChange(store, 'u2', [1, 0.2]);
    await store.commit(bytes32('u2'));
    const expected = [16777216, Math.fround(Math.fround(0.1) + Math.fround(0.2))];
    expect(await committedValues(store, 2)).to.deep.equal(expected);
  });

  it('adds a change once, however often it is committed', async () => {
    await writeChange(store, 'u1', [1, 2]);
    expect(await store.commit(bytes32('u1'))).to.equal('committed');
    expect(await store.commit(bytes32('u1'))).to.equal('already-committed');
    expect(await (await ResidualStore.open(root)).commit(bytes32('u1'))).to.equal('already-committed');
    expect(await committedValues(store, 2)).to.deep.equal([1, 2]);
  });

  it('has nothing to commit for an update that it does not know or that was discarded', async () => {
    expect(await store.commit(bytes32('u'))).to.equal('absent');
    await writeChange(store, 'u', [1]);
    expect(await store.discard(bytes32('u'))).to.equal(true);
    expect(await store.discard(bytes32('u'))).to.equal(false);
    expect(await store.commit(bytes32('u'))).to.equal('absent');
  });

  it('keeps two policies apart, also when one of them is corrupt', async () => {
    await writeChange(store, 'u1', [1, 2], 'pick');
    await writeChange(store, 'u2', [3, 4], 'place');
    await store.commit(bytes32('u1'));
    await store.commit(bytes32('u2'));
    await writeFile(join(root, 'pick.residual'), 'not a residual', { mode: 0o600 });
    const reopened = await ResidualStore.open(root);
    await expectRefusal('residual.corrupt', () => committedValues(reopened, 2, 'pick'));
    expect(await committedValues(reopened, 2, 'place')).to.deep.equal([3, 4]);
    expect(await reopened.commit(bytes32('u2'))).to.equal('already-committed');
  });

  it('takes no residual of another policy under a new name', async () => {
    await writeChange(store, 'u1', [1, 2], 'pick');
    await store.commit(bytes32('u1'));
    const content = await readFile(join(root, 'pick.residual'));
    await writeFile(join(root, 'place.residual'), content, { mode: 0o600 });
    await expectRefusal('residual.corrupt', () => committedValues(store, 2, 'place'));
  });

  it('takes no change of another update under a new name', async () => {
    await writeChange(store, 'u1', [1, 2]);
    await writeFile(join(root, changeName('u2')), await readFile(join(root, changeName('u1'))), {
      mode: 0o600,
    });
    await expectRefusal('residual.corrupt', () => store.commit(bytes32('u2')));
  });

  it('counts a residual of another schema as zero, and replaces it at the next commit', async () => {
    await writeChange(store, 'u1', [1, 2]);
    await store.commit(bytes32('u1'));
    expect(await committedValues(store, 5, 'pick', 'schema 2')).to.equal(undefined);
    expect(await store.norm('pick', bytes32('schema 2'))).to.equal(undefined);
    expect(await committedValues(store, 2)).to.deep.equal([1, 2]);
    await writeChange(store, 'u2', [7, 8, 9], 'pick', 'schema 2');
    expect(await store.commit(bytes32('u2'))).to.equal('committed');
    expect(await committedValues(store, 3, 'pick', 'schema 2')).to.deep.equal([7, 8, 9]);
    expect(await committedValues(store, 2)).to.equal(undefined);
  });

  it('refuses two value counts under one schema key', async () => {
    await writeChange(store, 'u1', [1, 2]);
    await store.commit(bytes32('u1'));
    await expectRefusal('residual.value-count', () => committedValues(store, 3));
    await writeChange(store, 'u2', [1, 2, 3]);
    await expectRefusal('residual.value-count', () => store.commit(bytes32('u2')));
    expect(await committedValues(store, 2)).to.deep.equal([1, 2]);
    expect(await store.pending()).to.deep.equal([bytes32('u2')]);
  });

  it('refuses more or fewer values than were announced, and leaves nothing behind', async () => {
    for (const given of [1, 2, 4]) {
      await expectRefusal('residual.value-count', () =>
        store.stageChange(shapeOf(3), (sink) => sink.append(new Float32Array(given))),
      );
    }
    expect(await filesOf(root)).to.deep.equal([]);
  });

  it('refuses a change that is not finite, and one that the sum cannot hold', async () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const error = await expectRefusal('residual.non-finite', () =>
        store.stageChange(shapeOf(4), async (sink) => {
          await sink.append(Float32Array.of(0, 1));
          await sink.append(Float32Array.of(2, bad));
        }),
      );
      expect(error.message).to.contain('at value 3');
    }
    expect(await filesOf(root)).to.deep.equal([]);
    await writeChange(store, 'u1', [1, 3e38]);
    await store.commit(bytes32('u1'));
    await writeChange(store, 'u2', [1, 3e38]);
    const error = await expectRefusal('residual.non-finite', () => store.commit(bytes32('u2')));
    expect(error.message).to.contain('at value 1');
    expect(await committedValues(store, 2)).to.deep.equal([1, Math.fround(3e38)]);
    expect(await filesOf(root)).to.deep.equal([changeName('u2'), 'pick.residual']);
  });

  it('passes on what the writing function throws, and leaves nothing behind', async () => {
    const failure = new Error('the adapter ended');
    const outcome = await store
      .stageChange(shapeOf(2), () => Promise.reject(failure))
      .catch((error: unknown) => error);
    expect(outcome).to.equal(failure);
    expect(await filesOf(root)).to.deep.equal([]);
  });

  it('refuses values that are appended while others are being written', async () => {
    const count = 2 ** 19;
    await expectRefusal('residual.append-overlap', () =>
      store.stageChange(shapeOf(count), async (sink) => {
        const half = new Float32Array(count / 2);
        await Promise.all([sink.append(half), sink.append(half)]);
      }),
    );
  });

  it('publishes what was staged once, or discards it', async () => {
    const stage = () => store.stageChange(shapeOf(1), (sink) => sink.append(Float32Array.of(5)));
    const discarded = await stage();
    await discarded.discard();
    await expectRefusal('residual.stage-over', () => discarded.publish(bytes32('u')));
    expect(await filesOf(root)).to.deep.equal([]);

    const published = await stage();
    await published.publish(bytes32('u'));
    await published.discard();
    await expectRefusal('residual.stage-over', () => published.publish(bytes32('v')));
    const second = await stage();
    await expectRefusal('residual.change-exists', () => second.publish(bytes32('u')));
    expect(await filesOf(root)).to.deep.equal([changeName('u')]);
    await store.commit(bytes32('u'));
    expect(await committedValues(store, 1)).to.deep.equal([5]);
  });

  it('leaves what another store of the same process has staged', async () => {
    const staged = await store.stageChange(shapeOf(1), (sink) => sink.append(Float32Array.of(5)));
    const other = await ResidualStore.open(root);
    await staged.publish(bytes32('u'));
    expect(await other.pending()).to.deep.equal([bytes32('u')]);
  });

  it('starts from zero on request, and keeps the old file', async () => {
    expect(await store.reset('pick')).to.equal(undefined);
    await writeChange(store, 'u1', [1, 2]);
    await store.commit(bytes32('u1'));
    const path = join(root, 'pick.residual');
    const content = await readFile(path);
    const aside = (await store.reset('pick')) ?? '';
    expect(await readFile(aside)).to.deep.equal(content);
    expect(await committedValues(store, 2)).to.equal(undefined);
    await writeChange(store, 'u2', [3, 4]);
    await store.commit(bytes32('u2'));
    expect(await committedValues(store, 2)).to.deep.equal([3, 4]);
    expect(await readFile(aside)).to.deep.equal(content);
  });

  it('reads any part of the residual, as it was when the reader was opened', async () => {
    const values = Array.from({ length: 600_000 }, (_, i) => i);
    await writeChange(store, 'u1', values);
    await store.commit(bytes32('u1'));
    const reader = await store.openCommitted('pick', bytes32('schema 1'), values.length);
    if (reader === undefined) throw new Error('there is no residual');
    await writeChange(store, 'u2', values);
    await store.commit(bytes32('u2'));
    for (const offset of [0, 1, 262_143, 262_144, 599_998]) {
      const out = new Float32Array(2);
      await reader.read(offset, out);
      expect([...out]).to.deep.equal([offset, offset + 1]);
    }
    for (const offset of [-1, 0.5, 599_999]) {
      await expectRefusal('residual.out-of-range', () => reader.read(offset, new Float32Array(2)));
    }
    await reader.close();
  }).timeout(20_000);

  it('refuses arguments that name no policy, update or schema', async () => {
    for (const policy of ['', '../pick', '.pick', 'a/b', 'p'.repeat(65)]) {
      await expectRefusal('residual.bad-argument', () => writeChange(store, 'u', [1], policy));
      await expectRefusal('residual.bad-argument', () => store.reset(policy));
      await expectRefusal('residual.bad-argument', () => committedValues(store, 1, policy));
    }
    const short = new Uint8Array(31);
    for (const action of [() => store.commit(short), () => store.discard(short)]) {
      await expectRefusal('residual.bad-argument', action);
    }
    for (const shape of [{ ...shapeOf(1), schemaKey: short }, shapeOf(0), shapeOf(1.5), shapeOf(2 ** 53)]) {
      await expectRefusal('residual.bad-argument', () => store.stageChange(shape, async () => undefined));
    }
  });

  it('lets nobody else read its files or reach its directories', async () => {
    const staged = await store.stageChange(shapeOf(1), (sink) => sink.append(Float32Array.of(1)));
    await writeChange(store, 'u1', [1]);
    await writeChange(store, 'u2', [1]);
    await store.commit(bytes32('u1'));
    const files = [...(await filesOf(root)), 'store.lock'];
    expect(files).to.have.length(4);
    for (const file of files) expect((await stat(join(root, file))).mode & 0o777, file).to.equal(0o600);
    for (const path of [root, join(root, 'pending')]) {
      expect((await stat(path)).mode & 0o777, path).to.equal(0o700);
    }
    await staged.discard();
  });

  it('refuses files that others may read, links, and directories that others may write to', async () => {
    await writeChange(store, 'u1', [1]);
    await store.commit(bytes32('u1'));
    await symlink(join(root, 'pick.residual'), join(root, 'place.residual'));
    await expectRefusal('storage.symlink', () => committedValues(store, 1, 'place'));
    await chmod(join(root, 'pick.residual'), 0o640);
    await expectRefusal('storage.permissions', () => committedValues(store, 1));
    await chmod(root, 0o777);
    await expectRefusal('storage.permissions', () => ResidualStore.open(root));
  });

  it('leaves no values in the buffers that they went through', async () => {
    const values = Array.from({ length: 100 }, (_, i) => i + 1);
    arm();
    await writeChange(store, 'u1', values);
    await store.commit(bytes32('u1'));
    await writeChange(store, 'u2', values);
    await store.commit(bytes32('u2'));
    await store.norm('pick', bytes32('schema 1'));
    await (await store.openCommitted('pick', bytes32('schema 1'), 100))?.close();
    const pieces = disarm().arrays.filter((array) => array.length === 400);
    // Two written changes, two sums, and the passes: one change, then change and committed, then two more.
    expect(pieces).to.have.length(9);
    for (const piece of pieces) expect(piece.every((byte) => byte === 0)).to.equal(true);
  });
});
