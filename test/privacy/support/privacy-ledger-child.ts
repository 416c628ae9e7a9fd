/** Spends for some plans in a process of its own, and "seals" each to a file once it is recorded. */
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { TensorGuardError } from '../../../lib/errors.js';
import { createPrivacyLedger, openPrivacyLedger } from '../../../lib/privacy/privacy-ledger.js';
import { bytes32 } from '../../custody/support/bytes.js';
import { countWrites } from '../../custody/support/kill-point.js';
import { release } from './releases.js';

export interface PrivacyLedgerChildArgument {
  readonly path: string;
  readonly plans: readonly string[];
  readonly epsilon: number;
  readonly create: boolean;
  /** A line is added for every plan that may be sealed. */
  readonly sealedPath: string;
  /** Wait for a message before spending, so that several children spend at once. */
  readonly waitForStart: boolean;
}

/** For each plan, whether it was recorded now, replayed, or a code. */
export type PrivacyLedgerChildMessage = 'ready' | readonly string[];

const argument = JSON.parse(process.argv[2] ?? '') as PrivacyLedgerChildArgument;

countWrites(argument.create);
const ledger = await (argument.create ? createPrivacyLedger : openPrivacyLedger)(argument.path);
if (argument.waitForStart) {
  process.send?.('ready' satisfies PrivacyLedgerChildMessage);
  await once(process, 'message');
}
countWrites(!argument.create);
const results: string[] = [];
for (const [index, plan] of argument.plans.entries()) {
  try {
    const { replayed } = ledger.spend({
      ...{ plan: bytes32(plan), fleet: 'fleet', policy: 'policy', round: index, client: 'client' },
      ...{ release: release(), samplerDelta: 1e-13 },
      budget: { epsilon: argument.epsilon, delta: 1e-5, hardStop: true },
    });
    await writeFile(argument.sealedPath, `${plan}\n`, { flag: 'a' });
    results.push(replayed ? 'replayed' : 'recorded');
  } catch (error) {
    if (!(error instanceof TensorGuardError)) throw error;
    results.push(error.code);
  }
}
ledger.close();
process.send?.(results satisfies PrivacyLedgerChildMessage, () => process.disconnect());
