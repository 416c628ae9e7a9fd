/** Opening a round and closing it: from what the service keeps of it to the average and the owner's last word. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hex } from '../../custody/fields.js';
import { readPlanToFinish } from '../../custody/role-plan.js';
import { TensorGuardError, VerificationError } from '../../errors.js';
import { oneLine } from '../../package/one-line.js';
import { openContainer } from '../../package/reader.js';
import { closeRound } from '../../round/close-round.js';
import { isBurntReason } from '../../round/machine/bisect.js';
import { type OpenedRoundReport, openRound } from '../../round/open-round.js';
import { openOwner } from '../../round/owner-directory.js';
import type { RolePolicyOptions } from '../../round/role-policy.js';
import type { FleetApi } from '../api/fleet-api.js';

export type OpeningApi = Pick<
  FleetApi,
  'plan' | 'downloadAggregate' | 'answer' | 'downloadUpdate' | 'downloadPartialSum'
>;

export interface RoundFiles {
  readonly plan: Uint8Array;
  readonly aggregate: string;
  readonly answers: readonly string[];
  /** The signed updates and partial sums, where the sum is to be recomputed. */
  readonly updates?: readonly string[];
}

/** Downloads what opening takes into `directory`. @throws what the API throws; VerificationError, FormatError `container.*` */
export async function fetchRound(
  api: OpeningApi,
  plan: string,
  custodians: readonly string[],
  verify: boolean,
  directory: string,
): Promise<RoundFiles> {
  const aggregate = join(directory, 'aggregate.tga');
  await api.downloadAggregate(plan, aggregate);
  const answers: string[] = [];
  for (const custodian of custodians) {
    const path = join(directory, `${custodian}.tgs`);
    await writeFile(path, await api.answer(plan, custodian), { mode: 0o600 });
    answers.push(path);
  }
  const files = { plan: await api.plan(plan), aggregate, answers };
  if (!verify) return files;
  const signed = await summedFiles(aggregate);
  const updates: string[] = [];
  for (const update of signed.updates) {
    const path = join(directory, `${update}.tgu`);
    await api.downloadUpdate(plan, update, path);
    updates.push(path);
  }
  for (const partialSum of signed.partialSums) {
    const path = join(directory, `${partialSum}.tgg`);
    await api.downloadPartialSum(plan, partialSum, path);
    updates.push(path);
  }
  return { ...files, updates };
}

/** What the aggregator says that it summed: clients' own updates, and each partial sum once. */
async function summedFiles(path: string) {
  const container = await openContainer(path, 'aggregate');
  await container.close();
  const { accepted } = container.body;
  const own = accepted.filter(({ partialSum }) => partialSum === undefined);
  const partialSums = new Set(accepted.flatMap(({ partialSum }) => partialSum ?? []).map(hex));
  return { updates: own.map(({ update }) => hex(update)), partialSums: [...partialSums] };
}

export interface OpenFetched {
  readonly ownerDirectory: string;
  readonly rolePolicy: RolePolicyOptions;
  /** Fingerprint, 64 hexadecimal digits. */
  readonly planHex: string;
  readonly files: RoundFiles;
  readonly base: string | undefined;
  readonly out: string;
}

/** Opens a round and signs its close record. Both may be repeated. @throws as `openRound` and `closeRound` */
export async function openAndClose(request: OpenFetched): Promise<{
  readonly report: OpenedRoundReport;
  readonly record: Uint8Array;
  /** From the answers to the average on the disk. */
  readonly decryptMs: number;
}> {
  return asOwner(request, async ({ owner, plan }) => {
    const { files, base, out } = request;
    const { aggregate, answers, updates } = files;
    const started = performance.now();
    const report = await openRound({
      ...{ owner, plan, aggregate, answers, out },
      ...(base !== undefined && { base }),
      ...(updates !== undefined && { verify: updates }),
    });
    const decryptMs = performance.now() - started;
    const { record } = await closeRound(owner, plan, aggregate, undefined);
    return { report, record, decryptMs };
  });
}

/**
 * Ends a round that was not opened.
 *
 * @param aggregate the one that could not be opened, if any
 * @returns the record that counts: an earlier one, or that of an opening which a crash cut off before its record
 */
export async function closeUnopened(
  request: Pick<OpenFetched, 'ownerDirectory' | 'rolePolicy' | 'planHex'> & { readonly plan: Uint8Array },
  aggregate: string | undefined,
  reason: string,
): Promise<{ readonly record: Uint8Array; readonly opened: boolean }> {
  return asOwner({ ...request, files: request }, async ({ owner, plan }) => {
    const { record, body } = await closeRound(owner, plan, aggregate, oneLine(reason, MAX_REASON_CHARACTERS));
    return { record, opened: body.opened.length > 0 };
  });
}

const MAX_REASON_CHARACTERS = 2048;

/** The reason by which everybody knows that the owner's check failed, or undefined where something else did. */
export function burntReason(error: unknown): string | undefined {
  if (!(error instanceof TensorGuardError) || !isBurntReason(error.code)) return undefined;
  return `${error.code}: ${error.message}`;
}

type OpenedOwner = Awaited<ReturnType<typeof openOwner>>['owner'];
type PlanToFinish = Awaited<ReturnType<typeof readPlanToFinish>>;

async function asOwner<T>(
  request: Pick<OpenFetched, 'ownerDirectory' | 'rolePolicy' | 'planHex'> & {
    readonly files: { readonly plan: Uint8Array };
  },
  act: (round: { readonly owner: OpenedOwner; readonly plan: PlanToFinish }) => Promise<T>,
): Promise<T> {
  const { ownerDirectory, rolePolicy, planHex, files } = request;
  const { owner, role } = await openOwner(ownerDirectory, rolePolicy);
  try {
    const plan = await readPlanToFinish(ownerDirectory, files.plan, role.roster);
    if (hex(plan.fingerprint) !== planHex) {
      throw new VerificationError(
        'agent.wrong-file',
        `The service gave another plan than that of the round ${planHex}. Nothing was opened; show it to the operator.`,
      );
    }
    return await act({ owner, plan });
  } finally {
    role.close();
  }
}
