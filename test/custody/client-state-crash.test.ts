import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { cp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { createClientState, openClientState } from '../../lib/custody/client-state.js';
import { replaceFile } from '../../lib/files.js';
import { outcomeOf } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { bytes32 } from './support/bytes.js';
import { atEveryKillPoint, ended, startChild } from './support/child.js';
import type { ClientChildArgument, ClientChildMessage } from './support/client-child.js';

const round = (number: number) => ({ fleet: 'fleet', policy: 'policy', cohort: 'all', round: number });
const deltaDigest = bytes32('delta');

async function newArgument(): Promise<ClientChildArgument> {
  const base = await temporaryDirectory();
  const directory = join(base, 'client-01');
  (await createClientState(directory)).close();
  return {
    directory,
    ...{ delta: 'delta', plan: 'plan 1', round: 1 },
    releasedPath: join(base, 'released.tgu'),
    waitForStart: false,
  };
}

/**
 * A copy of a client's directory. A connection that was closed ends with its garbage collection, which removes the log and
 * may come in between: then again.
 */
async function copyOf(directory: string): Promise<string> {
  const copy = `${directory}-copy`;
  for (;;) {
    try {
      await cp(directory, copy, { recursive: true });
      return copy;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      await rm(copy, { recursive: true, force: true });
    }
  }
}

/** What a second plan gets that asks for the delta: 'new', or the code of the refusal. */
async function claimForSecondPlan(directory: string): Promise<string> {
  const state = await openClientState(directory);
  const claim = (plan: string, number: number) =>
    outcomeOf(async () => state.claim({ ...round(number), plan: bytes32(plan), deltaDigest }));
  const outcome = await claim('plan 2', 2);
  if (outcome === 'new') {
    // The first plan has lost the delta, and a retry there must not seal it.
    expect(await claim('plan 1', 1)).to.deep.equal({ code: 'client.delta-consumed' });
  }
  state.close();
  return outcome === 'new' ? outcome : 'code' in outcome ? outcome.code : 'stored';
}

describe("the client's state, its process killed between any two writes", () => {
  it('never releases two updates of a delta, under one plan or two, and repeats what it released', async () => {
    const phases = new Set<string>();
    const points = await atEveryKillPoint(async (killAt) => {
      const argument = await newArgument();
      const { killed } = await ended(startChild('client-child', argument, killAt));
      const released = existsSync(argument.releasedPath)
        ? readFileSync(argument.releasedPath, 'utf8')
        : undefined;
      const second = await claimForSecondPlan(await copyOf(argument.directory));

      const state = await openClientState(argument.directory);
      const plan = bytes32('plan 1');
      const claim = await state.claim({ ...round(1), plan, deltaDigest });
      if (claim === 'new') {
        // Nothing was released, so that another update may be.
        expect(released).to.equal(undefined);
        phases.add(second === 'new' ? 'nothing claimed' : 'claimed');
        if (second !== 'new') expect(second).to.equal('client.delta-consumed');
        const content = 'made after the crash';
        await replaceFile(state.sealedPath(bytes32(content)), content);
        const sealed = await state.recordSealed({ deltaDigest, plan, update: bytes32(content) });
        expect(await readFile(sealed.stored, 'utf8')).to.equal(content);
      } else {
        phases.add(released === undefined ? 'recorded' : 'released');
        expect(second).to.equal('client.delta-consumed');
        const content = await readFile(claim.stored, 'utf8');
        expect(Buffer.from(claim.update)).to.deep.equal(Buffer.from(bytes32(content)));
        if (released !== undefined) expect(content).to.equal(released);
      }
      state.close();
      return killed;
    });
    expect(points).to.be.greaterThan(8);
    expect([...phases].sort()).to.deep.equal(['claimed', 'nothing claimed', 'recorded', 'released']);
  }).timeout(120_000);
});

describe("the client's state, used by several processes at once", () => {
  async function race(children: readonly ClientChildArgument[]): Promise<ClientChildMessage[]> {
    const running = children.map((argument) =>
      startChild('client-child', { ...argument, waitForStart: true }),
    );
    await Promise.all(running.map((child) => once(child, 'message')));
    const results = running.map(ended);
    for (const child of running) child.send('start');
    return (await Promise.all(results)).map((result) => result.message as ClientChildMessage);
  }

  it('releases one update, whoever made it', async () => {
    const argument = await newArgument();
    const children = [1, 2, 3, 4].map((number) => ({
      ...argument,
      releasedPath: `${argument.releasedPath}.${number}`,
    }));
    const results = await race(children);
    const updates = results.map((result) =>
      result !== 'ready' && 'update' in result ? result.update : 'none',
    );
    expect(new Set(updates).size, updates.join()).to.equal(1);
    expect(updates[0]).to.match(/^[0-9a-f]{64}$/);
    const released = children.map((child) => readFileSync(child.releasedPath, 'utf8'));
    expect(new Set(released).size).to.equal(1);
  });

  it('gives a delta to one of the plans that ask for it', async () => {
    const argument = await newArgument();
    const children = [1, 2, 3, 4].map((number) => ({ ...argument, plan: `plan ${number}`, round: number }));
    const results = await race(children);
    const kinds = results.map((result) => (result !== 'ready' && 'code' in result ? result.code : 'sealed'));
    expect(kinds.sort()).to.deep.equal([...new Array<string>(3).fill('client.delta-consumed'), 'sealed']);
  });

  it('gives a plan to one of the deltas that ask for it', async () => {
    const argument = await newArgument();
    const children = [1, 2, 3].map((number) => ({ ...argument, delta: `delta ${number}` }));
    const results = await race(children);
    const kinds = results.map((result) => (result !== 'ready' && 'code' in result ? result.code : 'sealed'));
    expect(kinds.sort()).to.deep.equal([
      'client.round-already-sealed',
      'client.round-already-sealed',
      'sealed',
    ]);
  });
});
