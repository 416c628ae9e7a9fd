/** Answers one round in a process of its own, and releases the answer to a file, as a custodian would. */

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createLedger, openLedger } from '../../../lib/custody/ledger.js';
import { TensorGuardError } from '../../../lib/errors.js';
import { bytes32 } from './bytes.js';
import { countWrites } from './kill-point.js';

export interface LedgerChildArgument {
  readonly path: string;
  readonly round: number;
  readonly plan: string;
  readonly set: string;
  readonly updates: readonly string[];
  /** Create the ledger rather than open it. */
  readonly create: boolean;
  /** Written when the answer is being computed, which the claim must precede. */
  readonly computedPath: string;
  /** Where the answer is released. */
  readonly releasedPath: string;
  /** Wait for a message before answering, so that several children answer at once. */
  readonly waitForStart: boolean;
}

export type LedgerChildMessage =
  | 'ready'
  | { readonly code: string }
  | { readonly answer: string; readonly replayed: boolean };

const argument = JSON.parse(process.argv[2] ?? '') as LedgerChildArgument;

async function answer(): Promise<LedgerChildMessage> {
  if (argument.waitForStart) {
    process.send?.('ready' satisfies LedgerChildMessage);
    await once(process, 'message');
  }
  try {
    countWrites(argument.create);
    const ledger = await (argument.create ? createLedger : openLedger)(argument.path);
    countWrites(!argument.create);
    const request = {
      fleet: 'fleet',
      policy: 'policy',
      cohort: 'all',
      round: argument.round,
      plan: bytes32(argument.plan),
      set: bytes32(argument.set),
      updates: argument.updates.map(bytes32),
    };
    const result = await ledger.answerOnce(request, async () => {
      writeFileSync(argument.computedPath, 'computed');
      // Like a fresh HPKE encapsulation, every computation differs.
      return new Uint8Array(randomBytes(40));
    });
    await writeFile(argument.releasedPath, result.answer);
    ledger.close();
    return { answer: Buffer.from(result.answer).toString('hex'), replayed: result.replayed };
  } catch (error) {
    if (!(error instanceof TensorGuardError)) throw error;
    return { code: error.code };
  }
}

const result = await answer();
process.send?.(result, () => process.disconnect());
