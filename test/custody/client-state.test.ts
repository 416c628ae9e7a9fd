import { chmod, readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  type ClientState,
  createClientState,
  openClientState,
  type SealRequest,
  type StoredUpdate,
} from '../../lib/custody/client-state.js';
import { hex } from '../../lib/custody/fields.js';
import { RefusedError } from '../../lib/errors.js';
import { replaceFile } from '../../lib/files.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { bytes32 } from './support/bytes.js';

/** Delta `delta` for the plan of round `round`, which is named after its round unless `change` says otherwise. */
function request(delta: string, round: number, change: Partial<SealRequest> = {}): SealRequest {
  return {
    ...{ fleet: 'fleet', policy: 'policy', cohort: 'all', round },
    plan: planOf(round),
    deltaDigest: bytes32(delta),
    ...change,
  };
}

function planOf(round: number): Uint8Array {
  return bytes32(`plan ${round}`);
}

describe("the client's state", () => {
  let directory: string;
  let state: ClientState;

  beforeEach(async () => {
    directory = join(await temporaryDirectory(), 'client-01');
    state = await createClientState(directory);
  });
  afterEach(() => state.close());

  async function reopen(): Promise<void> {
    state.close();
    state = await openClientState(directory);
  }

  /** Steps 3 and 4 of sealing. */
  async function record(delta: string, round: number, content: string): Promise<StoredUpdate> {
    const update = bytes32(content);
    await replaceFile(state.sealedPath(update), content, { mode: 0o600 });
    return state.recordSealed({ deltaDigest: bytes32(delta), plan: planOf(round), update });
  }

  /** All steps of sealing; the delta must be free. */
  async function seal(delta: string, round: number): Promise<Uint8Array> {
    expect(await state.claim(request(delta, round))).to.equal('new');
    return (await record(delta, round, `update of ${delta} in ${round}`)).update;
  }

  it('gives a delta to a plan once, and the stored update ever after', async () => {
    const update = await seal('delta', 1);
    await reopen();
    const again = await state.claim(request('delta', 1));
    expect(again).to.deep.equal({ stored: join(directory, 'sealed', `${hex(update)}.tgu`), update });
    expect(await readFile((again as StoredUpdate).stored, 'utf8')).to.equal('update of delta in 1');
  });

  it('refuses a sealed delta to every other plan until a close record says more', async () => {
    await seal('delta', 1);
    await reopen();
    const error = await expectRefusal('client.delta-consumed', () => state.claim(request('delta', 2)));
    expect(error).to.be.instanceOf(RefusedError);
    expect(error.message).to.contain('round 1').and.to.contain('close record');
    for (const change of [{ fleet: 'f2' }, { policy: 'p2' }, { cohort: 'c2' }]) {
      await expectRefusal('client.delta-consumed', () => state.claim(request('delta', 2, change)));
    }
  });

  it('refuses it to another plan of the same round as well', async () => {
    await seal('delta', 1);
    const reissued = request('delta', 1, { plan: bytes32('reissued') });
    await expectRefusal('client.delta-consumed', () => state.claim(reissued));
  });

  it('holds a delta that was claimed and not sealed, for that plan, which may seal it again', async () => {
    await state.claim(request('delta', 1));
    await reopen();
    await expectRefusal('client.delta-consumed', () => state.claim(request('delta', 2)));
    expect(await state.claim(request('delta', 1))).to.equal('new');
  });

  it('refuses a second delta under one plan, sealed or only claimed', async () => {
    await state.claim(request('delta', 1));
    await expectRefusal('client.round-already-sealed', () => state.claim(request('other', 1)));
    await record('delta', 1, 'update');
    await expectRefusal('client.round-already-sealed', () => state.claim(request('other', 1)));
  });

  it('leaves the refused delta free for the next plan', async () => {
    await seal('delta', 1);
    await expectRefusal('client.round-already-sealed', () => state.claim(request('other', 1)));
    expect(await state.claim(request('other', 2))).to.equal('new');
  });

  it('never gives out a delta again that a close record lists', async () => {
    const update = await seal('delta', 1);
    const close = { plan: planOf(1), opened: [bytes32('someone'), update] };
    expect(await state.recordClose(close)).to.deep.equal({
      outcome: 'opened',
      deltaDigest: bytes32('delta'),
      update,
    });
    await reopen();
    const error = await expectRefusal('client.delta-consumed', () => state.claim(request('delta', 2)));
    expect(error.message).to.contain('Seal the next delta');
    await state.recordClose({ plan: planOf(2), opened: [] });
    await expectRefusal('client.delta-consumed', () => state.claim(request('delta', 3)));
  });

  it('says how many rounds late a delta is: since the first that it was claimed for', async () => {
    const late = (delta: string, round: number, change: Partial<SealRequest> = {}): number =>
      state.roundsLate(request(delta, round, change), bytes32(delta));
    expect(late('delta', 3)).to.equal(0);
    await seal('delta', 3);
    expect(late('delta', 3)).to.equal(0);
    await state.recordClose({ plan: planOf(3), opened: [] });
    expect(late('delta', 5)).to.equal(2);
    // Claimed is enough: a crash on the way makes it no younger.
    await state.claim(request('delta', 5));
    await state.recordClose({ plan: planOf(5), opened: [] });
    await reopen();
    expect(late('delta', 9)).to.equal(6);
    expect(late('other', 9)).to.equal(0);
    for (const change of [{ fleet: 'f2' }, { policy: 'p2' }, { cohort: 'c2' }]) {
      expect(late('delta', 9, change)).to.equal(0);
    }
  });

  it('tells a late retry that the round was closed, opened with its update or not', async () => {
    const update = await seal('delta', 1);
    await seal('free', 2);
    await state.recordClose({ plan: planOf(1), opened: [update] });
    await state.recordClose({ plan: planOf(2), opened: [] });
    for (const [delta, round] of [
      ['delta', 1],
      ['other', 1],
      ['free', 2],
    ] as const) {
      await expectRefusal('client.round-closed', () => state.claim(request(delta, round)));
    }
    await expectRefusal('client.round-closed', () => state.storedUpdate(planOf(1), bytes32('delta')));
  });

  for (const [what, opened] of [
    ['lists others', [bytes32('someone'), bytes32('somebody')]],
    ['lists nobody', []],
  ] as const) {
    it(`frees a delta for a later round when the close record ${what}`, async () => {
      const update = await seal('delta', 1);
      expect(await state.recordClose({ plan: planOf(1), opened })).to.deep.equal({
        outcome: 'not-opened',
        deltaDigest: bytes32('delta'),
      });
      await reopen();
      const second = await seal('delta', 2);
      expect(hex(second)).to.not.equal(hex(update));
      await expectRefusal('client.delta-consumed', () => state.claim(request('delta', 3)));
    });
  }

  it('frees a delta again and again, until a close record lists it', async () => {
    for (const round of [1, 2, 3]) {
      await seal('delta', round);
      await state.recordClose({ plan: planOf(round), opened: [] });
    }
    const update = await seal('delta', 4);
    await state.recordClose({ plan: planOf(4), opened: [update] });
    await expectRefusal('client.delta-consumed', () => state.claim(request('delta', 5)));
  });

  it('is not freed by the close record of another plan', async () => {
    await seal('delta', 1);
    expect(await state.recordClose({ plan: planOf(9), opened: [] })).to.deep.equal({ outcome: 'absent' });
    await expectRefusal('client.delta-consumed', () => state.claim(request('delta', 2)));
  });

  it('gives a freed delta to a later round of its cohort only', async () => {
    await seal('delta', 5);
    await state.recordClose({ plan: planOf(5), opened: [] });
    const reissued = request('delta', 5, { plan: bytes32('reissued') });
    await expectRefusal('client.round-not-later', () => state.claim(reissued));
    await expectRefusal('client.round-not-later', () => state.claim(request('delta', 4)));
    expect(await state.claim(request('delta', 6))).to.equal('new');
  });

  it('gives a freed delta to another cohort, whatever its round: a burned round continues in two', async () => {
    await seal('delta', 5);
    await state.recordClose({ plan: planOf(5), opened: [] });
    expect(await state.claim(request('delta', 1, { cohort: 'half' }))).to.equal('new');
  });

  it('takes nothing for a closed plan, not even the update that it had stored', async () => {
    await seal('delta', 1);
    await state.recordClose({ plan: planOf(1), opened: [] });
    await expectRefusal('client.round-closed', () => state.claim(request('delta', 1)));
    await state.recordClose({ plan: planOf(2), opened: [] });
    await expectRefusal('client.round-closed', () => state.claim(request('new', 2)));
  });

  it('records no update that comes after the close record: the delta may be elsewhere by then', async () => {
    await state.claim(request('delta', 1));
    expect(await state.recordClose({ plan: planOf(1), opened: [] })).to.have.property(
      'outcome',
      'not-opened',
    );
    await seal('delta', 2);
    await expectRefusal('client.round-closed', () => record('delta', 1, 'late update'));
  });

  it('says the same when a close record comes again, in any order', async () => {
    const update = await seal('delta', 1);
    const opened = [bytes32('a'), update, bytes32('b')];
    const first = await state.recordClose({ plan: planOf(1), opened });
    await reopen();
    expect(await state.recordClose({ plan: planOf(1), opened: [...opened].reverse() })).to.deep.equal(first);
  });

  it('refuses a second close record that says something else, and keeps to the first', async () => {
    const update = await seal('delta', 1);
    await state.recordClose({ plan: planOf(1), opened: [update] });
    await expectRefusal('client.close-conflict', () => state.recordClose({ plan: planOf(1), opened: [] }));
    await expectRefusal('client.delta-consumed', () => state.claim(request('delta', 2)));
    await seal('other', 2);
    await state.recordClose({ plan: planOf(2), opened: [] });
    await expectRefusal('client.close-conflict', () =>
      state.recordClose({ plan: planOf(2), opened: [bytes32('update of other in 2')] }),
    );
    expect(await state.claim(request('other', 3))).to.equal('new');
  });

  it('gives the update that was recorded first when two were made, and removes the other', async () => {
    await state.claim(request('delta', 1));
    const first = await record('delta', 1, 'first');
    const second = await record('delta', 1, 'second');
    expect(second).to.deep.equal(first);
    expect(await readdir(join(directory, 'sealed'))).to.deep.equal([`${hex(bytes32('first'))}.tgu`]);
  });

  it("never removes another plan's update, even if it is recorded by mistake", async () => {
    const update = await seal('delta', 1);
    const other = await seal('other', 2);
    const mistaken = await state.recordSealed({ deltaDigest: bytes32('other'), plan: planOf(2), update });
    expect(mistaken.update).to.deep.equal(other);
    expect(await readFile(state.sealedPath(update), 'utf8')).to.equal('update of delta in 1');
  });

  it('may record the same update twice', async () => {
    await state.claim(request('delta', 1));
    const first = await record('delta', 1, 'update');
    expect(await record('delta', 1, 'update')).to.deep.equal(first);
    expect(await readFile(first.stored, 'utf8')).to.equal('update');
  });

  it('records no update without a claim', async () => {
    await expectRefusal('client.not-claimed', () => record('delta', 1, 'update'));
    await state.claim(request('delta', 1));
    await expectRefusal('client.not-claimed', () => record('other', 1, 'update'));
    await expectRefusal('client.not-claimed', () => record('delta', 2, 'update'));
  });

  it('records no update for two plans', async () => {
    await state.claim(request('delta', 1));
    await record('delta', 1, 'update');
    await state.claim(request('other', 2));
    await expectRefusal('client.update-already-recorded', () => record('other', 2, 'update'));
  });

  it('records no update that was not written', async () => {
    await state.claim(request('delta', 1));
    const update = { deltaDigest: bytes32('delta'), plan: planOf(1), update: bytes32('update') };
    await expectRefusal('client.update-not-written', () => state.recordSealed(update));
    expect(await state.claim(request('delta', 1))).to.equal('new');
  });

  it('does not let a delta be sealed again because its stored update is gone', async () => {
    const update = await seal('delta', 1);
    await rm(state.sealedPath(update));
    const error = await expectRefusal('client.stored-update-missing', () => state.claim(request('delta', 1)));
    expect(error.message).to.contain(state.sealedPath(update));
    await expectRefusal('client.delta-consumed', () => state.claim(request('delta', 2)));
  });

  it('keeps the updates of open rounds, and removes those of closed ones', async () => {
    const opened = await seal('a', 1);
    await seal('b', 2);
    const held = await seal('c', 3);
    await state.claim(request('d', 4));
    await state.recordClose({ plan: planOf(1), opened: [opened] });
    await state.recordClose({ plan: planOf(2), opened: [] });
    expect(await readdir(join(directory, 'sealed'))).to.deep.equal([`${hex(held)}.tgu`]);
    // Of a plan that the client took no part in, and again.
    await state.recordClose({ plan: planOf(9), opened: [bytes32('someone')] });
    await state.recordClose({ plan: planOf(2), opened: [] });
    await reopen();
    expect(await readdir(join(directory, 'sealed'))).to.deep.equal([`${hex(held)}.tgu`]);
    expect(await state.claim(request('c', 3))).to.have.property('stored');
    await expectRefusal('client.delta-consumed', () => state.claim(request('a', 5)));
  });

  it('removes when it is opened what a crash left: files of closed rounds, and old ones that nobody recorded', async () => {
    const sealedDirectory = join(directory, 'sealed');
    const closed = await seal('a', 1);
    const held = await seal('b', 2);
    const content = await readFile(state.sealedPath(closed));
    await state.recordClose({ plan: planOf(1), opened: [closed] });
    // Killed after the record, before the file was removed.
    await replaceFile(state.sealedPath(closed), content, { mode: 0o600 });
    await state.claim(request('c', 3));
    const anHourAgo = new Date(Date.now() - 3_600_001);
    for (const [name, old] of [
      [`${hex(bytes32('killed'))}.tgu`, true],
      ['.killed.tgu.0123456789ab.tmp', true],
      // A seal that is under way.
      [`${hex(bytes32('under way'))}.tgu`, false],
      ['.under-way.tgu.0123456789ab.tmp', false],
      // Nobody's but the operator's.
      ['notes.txt', true],
    ] as const) {
      await replaceFile(join(sealedDirectory, name), name, { mode: 0o600 });
      if (old) await utimes(join(sealedDirectory, name), anHourAgo, anHourAgo);
    }
    await utimes(state.sealedPath(held), anHourAgo, anHourAgo);
    await reopen();
    expect(await readdir(sealedDirectory)).to.have.members([
      `${hex(held)}.tgu`,
      `${hex(bytes32('under way'))}.tgu`,
      '.under-way.tgu.0123456789ab.tmp',
      'notes.txt',
    ]);
    expect(await state.claim(request('c', 3))).to.equal('new');
  });

  describe('and what earlier rounds left over', () => {
    const asking = (delta: string, round: number, change: Partial<SealRequest> = {}): SealRequest =>
      request(delta, round, { residual: true, ...change });

    it('is sent in one open round at a time, and in none that does not ask', async () => {
      await state.claim(request('a', 1));
      expect(state.holdsResidual(planOf(1))).to.equal(false);
      await state.claim(asking('b', 2));
      await reopen();
      await state.claim(asking('c', 3));
      await state.claim(asking('d', 1, { cohort: 'other', plan: planOf(4) }));
      expect([1, 2, 3, 4].map((round) => state.holdsResidual(planOf(round)))).to.deep.equal([
        false,
        true,
        false,
        false,
      ]);
    });

    for (const outcome of ['opened', 'released'] as const) {
      it(`is free again when its round was closed and the update ${outcome}`, async () => {
        await state.claim(asking('a', 1));
        const { update } = await record('a', 1, 'first');
        await state.recordClose({ plan: planOf(1), opened: outcome === 'opened' ? [update] : [] });
        await reopen();
        await state.claim(asking('b', 2));
        await state.claim(asking('c', 3));
        expect([2, 3].map((round) => state.holdsResidual(planOf(round)))).to.deep.equal([true, false]);
      });
    }

    it('stays with the claim that it was granted to, however often that is repeated', async () => {
      await state.claim(asking('a', 1));
      await state.claim(asking('b', 2));
      await state.recordClose({ plan: planOf(1), opened: [] });
      expect(await state.claim(asking('b', 2))).to.equal('new');
      expect(state.holdsResidual(planOf(2))).to.equal(false);
      await state.claim(asking('c', 3));
      expect(await state.claim(request('c', 3))).to.equal('new');
      expect(state.holdsResidual(planOf(3))).to.equal(true);
    });

    it('is another one for every policy and every fleet', async () => {
      await state.claim(asking('a', 1));
      await state.claim(asking('b', 2, { policy: 'other' }));
      await state.claim(asking('c', 3, { fleet: 'other' }));
      await state.claim(asking('d', 4, { policy: 'other' }));
      expect([1, 2, 3, 4].map((round) => state.holdsResidual(planOf(round)))).to.deep.equal([
        true,
        true,
        true,
        false,
      ]);
    });

    it('is not taken by a claim that is refused', async () => {
      await seal('a', 1);
      await expectRefusal('client.delta-consumed', () => state.claim(asking('a', 2)));
      expect(state.holdsResidual(planOf(2))).to.equal(false);
      await state.claim(asking('b', 3));
      expect(state.holdsResidual(planOf(3))).to.equal(true);
    });

    it('follows what became of the update', async () => {
      expect(state.updateState(bytes32('unheard of'))).to.equal(undefined);
      const [opened, released] = [await seal('a', 1), await seal('b', 2)];
      expect(state.updateState(opened)).to.equal('held');
      await state.recordClose({ plan: planOf(1), opened: [opened] });
      await state.recordClose({ plan: planOf(2), opened: [bytes32('someone')] });
      await reopen();
      expect(state.updateState(opened)).to.equal('opened');
      expect(state.updateState(released)).to.equal('released');
    });
  });

  it('refuses a plan under the name of another round', async () => {
    await seal('delta', 1);
    await expectRefusal('client.bad-request', () => state.claim(request('delta', 2, { plan: planOf(1) })));
  });

  for (const [what, change, code] of [
    ['a short delta digest', { deltaDigest: new Uint8Array(31) }, 'field.bad-bytes'],
    ['a long plan fingerprint', { plan: new Uint8Array(33) }, 'field.bad-bytes'],
    ['an empty fleet', { fleet: '' }, 'field.bad-text'],
    ['a negative round', { round: -1 }, 'field.bad-integer'],
  ] as const) {
    it(`refuses a claim with ${what}`, async () => {
      await expectRefusal(code, () => state.claim(request('delta', 1, change)));
      expect(await state.claim(request('delta', 1))).to.equal('new');
    });
  }

  it('refuses fingerprints of another length in a close record or an update', async () => {
    const short = new Uint8Array(31);
    await expectRefusal('field.bad-bytes', () => state.recordClose({ plan: short, opened: [] }));
    await expectRefusal('field.bad-bytes', () => state.recordClose({ plan: planOf(1), opened: [short] }));
    await expectRefusal('field.bad-bytes', () => state.sealedPath(short));
    expect(await state.claim(request('delta', 1))).to.equal('new');
  });

  it('is for its user only', async () => {
    expect((await stat(directory)).mode & 0o777).to.equal(0o700);
    expect((await stat(join(directory, 'sealed'))).mode & 0o777).to.equal(0o700);
    expect((await stat(join(directory, 'client-state.sqlite'))).mode & 0o777).to.equal(0o600);
    state.close();
    await chmod(join(directory, 'client-state.sqlite'), 0o644);
    await expectRefusal('storage.permissions', () => openClientState(directory));
  });

  it('is never made up, nor made twice', async () => {
    await expectRefusal('storage.exists', () => createClientState(directory));
    const error = await expectRefusal('storage.missing', () => openClientState(join(directory, 'lost')));
    expect(error.message).to.contain('enrol');
  });
});
