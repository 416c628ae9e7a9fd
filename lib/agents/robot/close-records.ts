/** Taking the owner's close records: what was averaged is spent, what was not may be sealed again. */
import { join } from 'node:path';
import { z } from 'zod';
import { type CloseOutcome, openClientState } from '../../custody/client-state.js';
import { hex } from '../../custody/fields.js';
import type { TrustedRoster } from '../../custody/roster.js';
import { VerificationError } from '../../errors.js';
import { openContainer } from '../../package/reader.js';
import { openResiduals, settleResiduals } from '../../round/residuals.js';
import { type AgentDirectory, readRecord, writeRecord } from '../agent-directory.js';
import { fingerprintSchema } from '../api/work-items.js';

const FILE = 'closed.json';
/** More rounds than the service still lists as closed. */
const REMEMBERED = 64;

/** Verifies a close record and records it, with what it means for the residual. May be repeated. */
export async function takeCloseRecord(
  clientDirectory: string,
  roster: TrustedRoster,
  plan: string,
  file: Uint8Array,
): Promise<CloseOutcome> {
  const close = await openContainer(file, 'close');
  await close.verify(roster.body.owner.keys, roster.body.signatureAlgorithms);
  await close.close();
  if (hex(close.body.plan) !== plan) throw wrongFile('close record', plan);
  const state = await openClientState(clientDirectory);
  try {
    const outcome = await state.recordClose({ plan: close.body.plan, opened: close.body.opened });
    await settleResiduals(await openResiduals(clientDirectory), state);
    return outcome;
  } finally {
    state.close();
  }
}

/** The service gave something else than was asked for. */
export function wrongFile(what: string, plan: string): VerificationError {
  return new VerificationError(
    'agent.wrong-file',
    `The service gave another round's ${what} for the plan ${plan}. Nothing was done with it; show it to the operator.`,
  );
}

/** The rounds whose close records were taken: these are not asked for again. */
export class ClosedRounds {
  private constructor(
    private readonly path: string,
    private plans: readonly string[],
  ) {}

  static async open(directory: AgentDirectory): Promise<ClosedRounds> {
    const path = join(directory.path, FILE);
    return new ClosedRounds(path, (await readRecord(path, z.array(fingerprintSchema))) ?? []);
  }

  has(plan: string): boolean {
    return this.plans.includes(plan);
  }

  async add(plan: string): Promise<void> {
    this.plans = [...this.plans, plan].slice(-REMEMBERED);
    await writeRecord(this.path, this.plans);
  }
}
