import { existsSync, readFileSync } from 'node:fs';
import { cp, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { ResidualStore } from '../../../lib/pipeline/residual/residual-store.js';
import { bytes32 } from '../../custody/support/bytes.js';
import { atEveryKillPoint, ended, startChild } from '../../custody/support/child.js';
import { outcomeOf } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { committedValues, filesOf, writeChange } from './support/fixtures.js';
import type { ChildStep, ResidualChildArgument } from './support/residual-child.js';
import { arm, disarm } from './support/write-point.js';

const CHILD = '../../pipeline/residual/support/residual-child';

/** What the client's record says of each update: whether the close record lists it. */
const OPENED: ReadonlyMap<string, boolean> = new Map([
  ['u1', true],
  ['u2', false],
  ['u3', true],
]);
/** Each in a decimal digit of its own, so that a sum tells what is in it, and how often. */
const VALUES: ReadonlyMap<string, number> = new Map([
  ['u1', 1],
  ['u2', 10],
  ['u3', 100],
]);
const COUNT = 3;

const steps: ChildStep[] = [
  ...[...VALUES].map(([update, value]): ChildStep => ({ kind: 'write', update, value, count: COUNT })),
  { kind: 'commit', update: 'u1' },
  { kind: 'discard', update: 'u2' },
  { kind: 'open' },
  { kind: 'commit', update: 'u3' },
];

/** After a crash: every pending update is looked up in the record, and treated as it says. */
async function settle(root: string): Promise<ResidualStore> {
  const store = await ResidualStore.open(root);
  const names = new Map([...OPENED.keys()].map((name) => [Buffer.from(bytes32(name)).toString('hex'), name]));
  for (const update of await store.pending()) {
    const name = names.get(Buffer.from(update).toString('hex')) ?? '';
    if (OPENED.get(name)) await store.commit(update);
    else await store.discard(update);
  }
  return store;
}

describe('the residual store, its process killed between any two writes', () => {
  it('has each opened change once and no other, leaving no file over', async () => {
    const sums = new Set<number>();
    let orphans = 0;
    const points = await atEveryKillPoint(async (killAt) => {
      const base = await temporaryDirectory();
      const argument: ResidualChildArgument = {
        ...{ root: join(base, 'residuals'), logPath: join(base, 'log') },
        steps,
      };
      const { killed } = await ended(startChild(CHILD, argument, killAt));
      const log = existsSync(argument.logPath) ? readFileSync(argument.logPath, 'utf8').split('\n') : [];
      if (existsSync(argument.root)) {
        orphans += (await filesOf(argument.root)).filter((name) => name.endsWith('.tmp')).length;
      }

      const store = await settle(argument.root);
      const values = (await committedValues(store, COUNT)) ?? [0, 0, 0];
      const sum = values[0] ?? Number.NaN;
      expect(values, `kill point ${killAt}`).to.deep.equal([sum, sum, sum]);
      expect(sum, `kill point ${killAt}`).to.be.oneOf([0, 1, 101]);
      if (log.includes('write u1')) expect(sum % 10, `kill point ${killAt}: u1`).to.equal(1);
      if (log.includes('write u3')) expect(sum, `kill point ${killAt}: u3`).to.equal(101);
      sums.add(sum);
      expect(await filesOf(argument.root), `kill point ${killAt}`).to.deep.equal(
        sum === 0 ? [] : ['pick.residual'],
      );
      if (sum !== 0) expect((await stat(join(argument.root, 'pick.residual'))).mode & 0o777).to.equal(0o600);
      // Told twice, it adds nothing.
      for (const name of ['u1', 'u3']) await store.commit(bytes32(name));
      expect((await committedValues(store, COUNT)) ?? [0, 0, 0]).to.deep.equal(values);
      return killed;
    });
    expect(points).to.be.greaterThan(40);
    expect([...sums].sort()).to.deep.equal([0, 1, 101]);
    // The test is worth nothing if no kill leaves a temporary file.
    expect(orphans).to.be.greaterThan(5);
  }).timeout(240_000);
});

describe('the residual store on a disk that fails', () => {
  async function newStore(): Promise<{ root: string; store: ResidualStore }> {
    const root = join(await temporaryDirectory(), 'residuals');
    const store = await ResidualStore.open(root);
    await writeChange(store, 'u1', [1, 1, 1]);
    await store.commit(bytes32('u1'));
    return { root, store };
  }

  it('says so at whichever write of a commit, and commits once when called again', async () => {
    let failures = 0;
    let reached = true;
    for (let at = 1; reached; at += 1) {
      const { root, store } = await newStore();
      await writeChange(store, 'u2', [10, 10, 10]);
      arm('full-once', at);
      const outcome = await outcomeOf(() => store.commit(bytes32('u2')));
      reached = disarm().reached;
      if (outcome !== 'committed') {
        failures += 1;
        expect(outcome).to.deep.equal({ code: 'storage.failed' });
        expect(await committedValues(store, COUNT)).to.be.deep.oneOf([
          [1, 1, 1],
          [11, 11, 11],
        ]);
        expect(await store.commit(bytes32('u2'))).to.be.oneOf(['committed', 'already-committed']);
      }
      expect(await committedValues(store, COUNT)).to.deep.equal([11, 11, 11]);
      expect(await filesOf(root)).to.deep.equal(['pick.residual']);
    }
    expect(failures).to.be.greaterThan(8);
  }).timeout(60_000);

  it('leaves nothing of a change that could not be written, and takes it when there is room', async () => {
    let failures = 0;
    let reached = true;
    for (let at = 1; reached; at += 1) {
      const { root, store } = await newStore();
      const before = await readFile(join(root, 'pick.residual'));
      arm('full-once', at);
      const outcome = await outcomeOf(() => writeChange(store, 'u2', [10, 10, 10]));
      reached = disarm().reached;
      if (outcome !== undefined) {
        failures += 1;
        expect(outcome).to.deep.equal({ code: 'storage.failed' });
        expect(await store.pending(), `write ${at}`).to.deep.equal([]);
        expect(await filesOf(root), `write ${at}`).to.deep.equal(['pick.residual']);
        await writeChange(store, 'u2', [10, 10, 10]);
      }
      expect(await readFile(join(root, 'pick.residual'))).to.deep.equal(before);
      await store.commit(bytes32('u2'));
      expect(await committedValues(store, COUNT)).to.deep.equal([11, 11, 11]);
    }
    expect(failures).to.be.greaterThan(6);
  }).timeout(60_000);

  it('finishes a commit whose change could not be removed, when it is opened again', async () => {
    const { root, store } = await newStore();
    await writeChange(store, 'u2', [10, 10, 10]);
    const pending = join(root, 'pending');
    const copy = `${pending}-copy`;
    await cp(pending, copy, { recursive: true });
    await store.commit(bytes32('u2'));
    await cp(copy, pending, { recursive: true });
    // While that change lies there, another one must not make the store forget that it was added.
    await writeChange(store, 'u3', [100, 100, 100], 'pick', 'schema 2');
    expect(await store.commit(bytes32('u3'))).to.equal('committed');
    expect(await store.commit(bytes32('u2'))).to.equal('already-committed');
    await cp(copy, pending, { recursive: true });
    expect(await store.pending()).to.deep.equal([bytes32('u2')]);
    expect(await (await ResidualStore.open(root)).pending()).to.deep.equal([]);
    expect(await committedValues(store, COUNT, 'pick', 'schema 2')).to.deep.equal([100, 100, 100]);
  });
});

describe('the residual store, used by several processes at once', () => {
  it('loses none of the changes that they commit', async () => {
    const base = await temporaryDirectory();
    const root = join(base, 'residuals');
    const store = await ResidualStore.open(root);
    const count = 1_000_000;
    const children = [1, 10, 100, 1000].map((value): ResidualChildArgument => {
      const update = `u${value}`;
      return {
        ...{ root, logPath: join(base, 'log') },
        steps: [
          { kind: 'write', update, value, count },
          { kind: 'commit', update },
        ],
      };
    });
    const results = await Promise.all(children.map((argument) => ended(startChild(CHILD, argument))));
    expect(results.every((result) => !result.killed)).to.equal(true);
    const values = (await committedValues(store, count)) ?? [];
    expect(values.every((value) => value === 1111)).to.equal(true);
    expect(await filesOf(root)).to.deep.equal(['pick.residual']);
  }).timeout(60_000);
});
