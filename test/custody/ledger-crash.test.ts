import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { createLedger, type Ledger, openLedger } from '../../lib/custody/ledger.js';
import { outcomeOf } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { bytes32 } from './support/bytes.js';
import { atEveryKillPoint, ended, startChild } from './support/child.js';
import type { LedgerChildArgument, LedgerChildMessage } from './support/ledger-child.js';

async function newArgument(change: Partial<LedgerChildArgument> = {}): Promise<LedgerChildArgument> {
  const directory = await temporaryDirectory();
  return {
    path: join(directory, 'ledger', 'ledger.sqlite'),
    round: 7,
    plan: 'plan',
    set: 'set',
    updates: ['update 1', 'update 2', 'update 3'],
    create: false,
    computedPath: join(directory, 'computed'),
    releasedPath: join(directory, 'released'),
    waitForStart: false,
    ...change,
  };
}

/** Answers for `set` in this process: the answer in hexadecimal, or the code of the refusal. */
async function answerFor(ledger: Ledger, set: string, updates: readonly string[]): Promise<string> {
  const outcome = await outcomeOf(() =>
    ledger.answerOnce(
      {
        ...{ fleet: 'fleet', policy: 'policy', cohort: 'all', round: 7 },
        plan: bytes32('plan'),
        set: bytes32(set),
        updates: updates.map(bytes32),
      },
      async () => Uint8Array.of(1, 2, 3),
    ),
  );
  return 'code' in outcome ? outcome.code : Buffer.from(outcome.answer).toString('hex');
}

describe('the custodian ledger, its process killed', () => {
  it('between any two writes: never answers for two sets, and repeats what it had released', async () => {
    const phases = new Set<string>();
    const points = await atEveryKillPoint(async (killAt) => {
      const argument = await newArgument();
      (await createLedger(argument.path)).close();
      const { killed } = await ended(startChild('ledger-child', argument, killAt));
      const computed = existsSync(argument.computedPath);
      const released =
        existsSync(argument.releasedPath) && readFileSync(argument.releasedPath).toString('hex');

      const ledger = await openLedger(argument.path);
      const other = await answerFor(ledger, 'other set', ['update 4', 'update 5']);
      const same = await answerFor(ledger, argument.set, argument.updates);
      ledger.close();
      if (other === '010203') {
        expect([computed, released, same]).to.deep.equal([false, false, 'ledger.round-already-answered']);
        phases.add('nothing claimed');
      } else {
        expect(other).to.equal('ledger.round-already-answered');
        if (released !== false) expect(same).to.equal(released);
        const stored = same !== '010203';
        phases.add(released !== false ? 'released' : stored ? 'stored' : 'claimed');
        if (stored) expect(computed).to.equal(true);
      }
      return killed;
    });
    expect(points).to.be.greaterThan(8);
    expect([...phases].sort()).to.deep.equal(['claimed', 'nothing claimed', 'released', 'stored']);
  }).timeout(120_000);

  it('while the ledger is created: leaves a whole one or none', async () => {
    const found = new Set<boolean>();
    await atEveryKillPoint(async (killAt) => {
      const argument = await newArgument({ create: true });
      const { killed } = await ended(startChild('ledger-child', argument, killAt));
      const exists = existsSync(argument.path);
      found.add(exists);
      const ledger = await (exists ? openLedger : createLedger)(argument.path);
      const same = await answerFor(ledger, argument.set, argument.updates);
      expect(same).to.match(/^[0-9a-f]+$/);
      ledger.close();
      const visible = (await readdir(join(argument.path, '..'))).filter((name) => !name.startsWith('.'));
      expect(visible.every((name) => name.startsWith('ledger.sqlite'))).to.equal(true);
      return killed;
    });
    expect([...found].sort()).to.deep.equal([false, true]);
  }).timeout(120_000);
});

describe('the custodian ledger, used by several processes at once', () => {
  /** Starts the children, lets them answer at the same moment, and gives what each came to. */
  async function race(children: readonly LedgerChildArgument[]): Promise<LedgerChildMessage[]> {
    const running = children.map((argument) =>
      startChild('ledger-child', { ...argument, waitForStart: true }),
    );
    await Promise.all(running.map((child) => once(child, 'message')));
    const results = running.map(ended);
    for (const child of running) child.send('start');
    return (await Promise.all(results)).map((result) => result.message as LedgerChildMessage);
  }

  function counts(results: readonly LedgerChildMessage[]): Record<string, number> {
    const keys = results.map((result) =>
      result === 'ready'
        ? result
        : 'code' in result
          ? result.code
          : result.replayed
            ? 'replayed'
            : 'computed',
    );
    return Object.fromEntries(
      [...new Set(keys)].map((key) => [key, keys.filter((other) => other === key).length]),
    );
  }

  function answersOf(results: readonly LedgerChildMessage[]): string[] {
    return results.flatMap((result) => (result !== 'ready' && 'answer' in result ? [result.answer] : []));
  }

  it('answers one of two sets, always with the same bytes', async () => {
    const first = await newArgument();
    (await createLedger(first.path)).close();
    const second = { ...first, set: 'other set', updates: ['update 4', 'update 5'] };
    const results = await race([first, second, first, second, first, second]);
    expect(counts(results)['ledger.round-already-answered']).to.equal(3);
    expect(answersOf(results)).to.have.length(3);
    expect(new Set(answersOf(results)).size).to.equal(1);
    expect(counts(results)['computed']).to.equal(1);
  });

  it('gives an update to one of the rounds that ask for it', async () => {
    const base = await newArgument();
    (await createLedger(base.path)).close();
    const rounds = [1, 2, 3, 4].map((round) => ({
      ...base,
      round,
      set: `set ${round}`,
      updates: [`own ${round}`, 'shared'],
    }));
    expect(counts(await race(rounds))).to.deep.equal({ computed: 1, 'ledger.update-already-used': 3 });
  });

  it('answers different rounds all, in one chain', async () => {
    const base = await newArgument();
    (await createLedger(base.path)).close();
    const rounds = [1, 2, 3, 4, 5].map((round) => ({
      ...base,
      round,
      set: `set ${round}`,
      updates: [`a ${round}`, `b ${round}`],
    }));
    expect(counts(await race(rounds))).to.deep.equal({ computed: 5 });
    const ledger = await openLedger(base.path);
    ledger.close();
  });

  it('is created by one of them', async () => {
    const argument = await newArgument({ create: true });
    expect(counts(await race([argument, argument, argument]))).to.deep.equal({
      computed: 1,
      'storage.exists': 2,
    });
  });
});
