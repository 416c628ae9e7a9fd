import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { createPrivacyLedger, openPrivacyLedger } from '../../lib/privacy/privacy-ledger.js';
import { bytes32 } from '../custody/support/bytes.js';
import { atEveryKillPoint, ended, startChild } from '../custody/support/child.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import type {
  PrivacyLedgerChildArgument,
  PrivacyLedgerChildMessage,
} from './support/privacy-ledger-child.js';
import { release } from './support/releases.js';

const CHILD = '../../privacy/support/privacy-ledger-child';

async function newArgument(
  change: Partial<PrivacyLedgerChildArgument> = {},
): Promise<PrivacyLedgerChildArgument> {
  const directory = await temporaryDirectory();
  return {
    path: join(directory, 'ledger', 'privacy.sqlite'),
    plans: ['plan 1', 'plan 2'],
    epsilon: 2,
    create: false,
    sealedPath: join(directory, 'sealed'),
    waitForStart: false,
    ...change,
  };
}

const sealedIn = ({ sealedPath }: PrivacyLedgerChildArgument): string[] =>
  existsSync(sealedPath) ? readFileSync(sealedPath, 'utf8').trim().split('\n') : [];

describe('the privacy ledger, its process killed', () => {
  it('between any two writes: has recorded everything that was sealed, and counts a retry once', async () => {
    const phases = new Set<string>();
    const points = await atEveryKillPoint(async (killAt) => {
      const argument = await newArgument();
      (await createPrivacyLedger(argument.path)).close();
      const { killed } = await ended(startChild(CHILD, argument, killAt));
      const sealed = sealedIn(argument);

      const ledger = await openPrivacyLedger(argument.path);
      const recorded = ledger.entries().map(({ plan }) => Buffer.from(plan).toString('hex'));
      for (const plan of sealed) {
        expect(recorded).to.include(Buffer.from(bytes32(plan)).toString('hex'));
      }
      phases.add(`${recorded.length} recorded, ${sealed.length} sealed`);
      for (const [round, plan] of argument.plans.entries()) {
        const { replayed } = ledger.spend({
          ...{ plan: bytes32(plan), fleet: 'fleet', policy: 'policy', round, client: 'client' },
          ...{ release: release(), samplerDelta: 1e-13 },
          budget: { epsilon: 2, delta: 1e-5, hardStop: true },
        });
        expect(replayed).to.equal(round < recorded.length);
      }
      expect(ledger.entries()).to.have.length(2);
      ledger.verify();
      ledger.close();
      return killed;
    });
    expect(points).to.be.greaterThan(6);
    expect([...phases].sort()).to.include.members([
      '0 recorded, 0 sealed',
      '1 recorded, 0 sealed',
      '1 recorded, 1 sealed',
      '2 recorded, 1 sealed',
      '2 recorded, 2 sealed',
    ]);
  }).timeout(120_000);

  it('while the ledger is created: leaves a whole one or none', async () => {
    const found = new Set<boolean>();
    await atEveryKillPoint(async (killAt) => {
      const argument = await newArgument({ create: true });
      const { killed } = await ended(startChild(CHILD, argument, killAt));
      const exists = existsSync(argument.path);
      found.add(exists);
      const ledger = await (exists ? openPrivacyLedger : createPrivacyLedger)(argument.path);
      ledger.close();
      const visible = (await readdir(join(argument.path, '..'))).filter((name) => !name.startsWith('.'));
      expect(visible.every((name) => name.startsWith('privacy.sqlite'))).to.equal(true);
      return killed;
    });
    expect([...found].sort()).to.deep.equal([false, true]);
  }).timeout(120_000);
});

describe('the privacy ledger, used by several processes at once', () => {
  async function race(children: readonly PrivacyLedgerChildArgument[]): Promise<string[][]> {
    const running = children.map((argument) => startChild(CHILD, { ...argument, waitForStart: true }));
    await Promise.all(running.map((child) => once(child, 'message')));
    const results = running.map(ended);
    for (const child of running) child.send('start');
    return (await Promise.all(results)).map(({ message }) => [...(message as PrivacyLedgerChildMessage)]);
  }

  it('never passes the budget, and uses all of it', async () => {
    const base = await newArgument();
    const ledger = await createPrivacyLedger(base.path);
    const budget = { epsilon: 2, delta: 1e-5, hardStop: true };
    const next = { release: release(), samplerDelta: 1e-13 };
    const fits = ledger.status({ budget, next }).roundsLeft ?? 0;
    const children = ['a', 'b', 'c'].map((name) => ({
      ...base,
      plans: Array.from({ length: fits }, (_, index) => `${name} ${index}`),
    }));
    const results = (await race(children)).flat();
    expect(results.filter((result) => result === 'recorded')).to.have.length(fits);
    expect(results.filter((result) => result === 'privacy.budget-exhausted')).to.have.length(2 * fits);
    const { epsilonSpent, releases } = ledger.status({ budget });
    expect(epsilonSpent).to.be.at.most(2);
    expect(releases).to.equal(fits);
    expect(sealedIn(base)).to.have.length(fits);
    ledger.verify();
    ledger.close();
  });

  it('counts one plan once', async () => {
    const base = await newArgument({ plans: ['plan'] });
    (await createPrivacyLedger(base.path)).close();
    expect((await race([base, base, base])).flat().sort()).to.deep.equal([
      'recorded',
      'replayed',
      'replayed',
    ]);
  });
});
