/** Planning a round, once: what was signed for it is kept, and sent again until the service has it. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hex } from '../../custody/fields.js';
import { openRole } from '../../custody/role-directory.js';
import { ROSTER_FILE } from '../../custody/roster-archive.js';
import { errorCode } from '../../durable/private-files.js';
import { replaceFile } from '../../files.js';
import type { ParameterSetName } from '../../lwe/parameters.js';
import { openContainer } from '../../package/reader.js';
import { containerBytes, encodeContainer } from '../../package/writer.js';
import { joinFleet } from '../../round/enrolment/join-fleet.js';
import { planRound } from '../../round/plan-round.js';
import { type RolePolicyOptions, readRolePolicy } from '../../round/role-policy.js';
import { RoundRecords } from '../../round/round-records.js';
import type { HalfCohort } from '../api/work-items.js';
import { rosterFingerprint } from '../roster-sync.js';
import type { PlanningAdapters } from './adapters.js';

export interface RoundToPlan {
  readonly policy: string;
  readonly cohort: string;
  readonly round: number;
  /** Of a burnt round: the clients that the cohort has, and where it comes from; all active ones, if absent. */
  readonly half?: HalfCohort | undefined;
}

export interface PlanningOptions {
  readonly ownerDirectory: string;
  readonly coordinatorDirectory: string;
  readonly rolePolicy: RolePolicyOptions;
  /** The roster's first, if absent. */
  readonly parameterSet?: ParameterSetName | undefined;
  /** How long clients may seal; the envelope's interval, if absent. */
  readonly deadlineMs?: number | undefined;
  readonly maxClients?: number | undefined;
}

export interface KeptPlan {
  /** Fingerprint, 64 hexadecimal digits. */
  readonly plan: string;
  readonly file: Uint8Array;
}

/** Where the plan of a round is kept; one a round. */
function planPath(directory: string, { policy, cohort, round }: RoundToPlan): string {
  return join(directory, `${policy}+${cohort}+${round}.tgp`);
}

/**
 * The plan of a round: the one that was signed before, or a new one. Two plans of one round would divide its clients, and
 * custodians answer for one of them only. One that the service never took is replaced when it is no use any more: its
 * deadline has passed, or a newer roster is in force.
 *
 * @param directory where plans are kept
 * @throws as `planRound`, `openRole`, `readRolePolicy`
 */
export async function planOnce(
  directory: string,
  round: RoundToPlan,
  adapters: () => Promise<PlanningAdapters>,
  options: PlanningOptions,
  nowMs: number,
): Promise<KeptPlan> {
  await followOwner(options);
  const path = planPath(directory, round);
  const kept = await readKept(path);
  if (kept !== undefined) {
    const { body, fingerprint } = await openContainer(kept, 'plan');
    const inForce = hex(body.rosterFingerprint) === (await rosterFingerprint(options.coordinatorDirectory));
    if (inForce && (body.deadline ?? Number.POSITIVE_INFINITY) > nowMs) {
      return { plan: hex(fingerprint), file: kept };
    }
  }
  const signed = await signPlan(round, await adapters(), options, nowMs);
  await replaceFile(path, signed.file, { mode: 0o600 });
  return signed;
}

async function readKept(path: string): Promise<Uint8Array | undefined> {
  try {
    return Uint8Array.from(await readFile(path));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** The coordinator plans under the roster that the owner has issued last. */
async function followOwner({ ownerDirectory, coordinatorDirectory }: PlanningOptions): Promise<void> {
  if ((await rosterFingerprint(ownerDirectory)) === (await rosterFingerprint(coordinatorDirectory))) return;
  await joinFleet({
    directory: coordinatorDirectory,
    file: Uint8Array.from(await readFile(join(ownerDirectory, ROSTER_FILE))),
  });
}

async function signPlan(
  { policy: policyName, cohort, round, half }: RoundToPlan,
  adapters: PlanningAdapters,
  options: PlanningOptions,
  nowMs: number,
): Promise<KeptPlan> {
  const { coordinatorDirectory, ownerDirectory, rolePolicy, parameterSet, deadlineMs, maxClients } = options;
  const { policy } = await readRolePolicy(coordinatorDirectory, rolePolicy);
  const coordinator = await openRole(coordinatorDirectory, 'coordinator');
  coordinator.close();
  const { roster } = coordinator;
  const active = roster.body.clients.filter(({ status }) => status === 'active').map(({ id }) => id);
  const taking = half === undefined ? active : active.filter((id) => half.clients.includes(id));
  const { body } = await planRound({
    roster,
    ...adapters,
    policy,
    maxClients: maxClients ?? Math.max(taking.length, 2),
    round,
    policyName,
    cohort,
    parameterSet: parameterSet ?? (roster.body.parameterSets[0] as ParameterSetName),
    ledgerHeads: await new RoundRecords(ownerDirectory).ledgerHeads(),
    deadline: nowMs + (deadlineMs ?? policy.envelope.roundIntervalSeconds * 1000),
  });
  const container = await encodeContainer({
    kind: 'plan',
    body,
    sections: [],
    signer: coordinator.signing,
  });
  return { plan: hex(container.envelope.fingerprint), file: containerBytes(container) };
}
