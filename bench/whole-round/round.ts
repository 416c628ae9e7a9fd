/** One round, role by role, through the same calls that the command line makes. */
import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from '../../lib/files.js';
import {
  aggregateUpdates,
  answerRound,
  closeRound,
  createFleet,
  openContainer,
  openCustodian,
  openRole,
  openRound,
  planRound,
  readTrustedPlan,
  sealUpdate,
  type TrustedPlan,
  writeContainer,
} from '../../lib/index.js';
import { presetPolicy } from '../../lib/policy/presets.js';
import { openClient } from '../../lib/round/client-directory.js';
import { openOwner } from '../../lib/round/owner-directory.js';
import { readRolePolicy } from '../../lib/round/role-policy.js';
import type { SyntheticFleetData } from './synthetic-data.js';

const CUSTODIANS = 4;
const THRESHOLD = 3;
const QUORUM = 3;
const PRESET = 'balanced';
/** The preset's own, named so that the round stays what it says whatever becomes of the preset. */
const OVERRIDES = { training: { bits: 8, keepRatio: 1 } };
/** No environment: the same round on every machine. */
const POLICY = { environment: {}, overrides: OVERRIDES };

export interface RoundFigures {
  readonly plan: TrustedPlan;
  readonly robots: number;
  readonly custodians: number;
  readonly threshold: number;
  /** Of one update, header and signature included. */
  readonly updateFileBytes: number;
  readonly ciphertextBytes: number;
  readonly saturatedValues: number;
  readonly closedWith: number;
  /** Directory of the opened average, added to the base. */
  readonly average: string;
  readonly milliseconds: {
    readonly plan: number;
    /** One a robot. */
    readonly seal: readonly number[];
    readonly aggregate: number;
    /** One a custodian. */
    readonly answer: readonly number[];
    readonly open: number;
    readonly close: number;
  };
}

async function timed<T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly ms: number }> {
  const started = performance.now();
  const result = await work();
  return { result, ms: performance.now() - started };
}

async function planFile(fleet: string, data: SyntheticFleetData, out: string): Promise<void> {
  const directory = join(fleet, 'coordinator');
  const { signing, roster } = await openRole(directory, 'coordinator');
  const { policy } = await readRolePolicy(directory, POLICY);
  const { body } = await planRound({
    roster,
    like: data.earlier,
    base: data.base,
    policy,
    maxClients: data.trained.length,
    quorum: QUORUM,
    round: 1,
    policyName: 'whole-round',
    cohort: 'all',
    parameterSet: 'lwe-192',
  });
  await writeContainer(out, { kind: 'plan', body, sections: [], signer: signing });
}

async function seal(directory: string, planPath: string, adapter: string, base: string) {
  const { client, roster, close } = await openClient(directory, POLICY);
  try {
    const plan = await readTrustedPlan(planPath, roster);
    const { stored, report } = await sealUpdate({ client, plan, adapter, base });
    if (report === undefined) throw new TypeError(`${client.id} had sealed before the round began`);
    return { stored, saturatedValues: report.saturatedValues };
  } finally {
    close();
  }
}

async function aggregate(
  directory: string,
  planPath: string,
  updates: readonly string[],
  out: string,
): Promise<void> {
  const { id, signing, roster, close } = await openRole(directory, 'aggregator');
  close();
  const { policy } = await readRolePolicy(directory, POLICY);
  const plan = await readTrustedPlan(planPath, roster);
  await aggregateUpdates({ plan, policy, aggregatorId: id, signing, updates, strict: true, out });
}

async function answer(
  directory: string,
  planPath: string,
  aggregatePath: string,
  out: string,
): Promise<void> {
  const { custodian, role, close } = await openCustodian(directory);
  try {
    const plan = await readTrustedPlan(planPath, role.roster);
    const container = await openContainer(aggregatePath, 'aggregate');
    try {
      await replaceFile(out, (await answerRound(custodian, plan, container)).answer);
    } finally {
      await container.close();
    }
  } finally {
    close();
  }
}

async function ownerWithPlan(directory: string, planPath: string) {
  const { owner, role } = await openOwner(directory, POLICY);
  return { owner, role, plan: await readTrustedPlan(planPath, role.roster) };
}

/** Runs the round below `directory`: every role reads its own keys and verifies what it is handed. */
export async function runWholeRound(
  directory: string,
  data: SyntheticFleetData,
  progress: (line: string) => void,
): Promise<RoundFigures> {
  const fleet = join(directory, 'fleet');
  const round = join(directory, 'round');
  await mkdir(round);
  progress('Making keys');
  await createFleet({
    directory: fleet,
    name: 'whole-round',
    clients: data.trained.length,
    custodians: CUSTODIANS,
    threshold: THRESHOLD,
    parameterSet: 'lwe-192',
    quorumFloor: QUORUM,
    maxUpdateBytes: presetPolicy(PRESET).envelope.maxUpdateBytes,
    signatureAlgorithms: ['ed25519'],
    policyFile: { name: 'policy.json', text: `${JSON.stringify({ preset: PRESET }, null, 2)}\n` },
    defaults: { parameterSet: 'lwe-192', preset: PRESET },
  });
  const planPath = join(round, 'round.tgp');
  const aggregatePath = join(round, 'round.tga');
  const average = join(round, 'average');

  progress('Planning');
  const planning = await timed(() => planFile(fleet, data, planPath));

  progress('Sealing');
  const sealed: Awaited<ReturnType<typeof seal>>[] = [];
  const sealMs: number[] = [];
  for (const [i, adapter] of data.trained.entries()) {
    const client = join(fleet, 'clients', `client-${String(i + 1).padStart(2, '0')}`);
    const { result, ms } = await timed(() => seal(client, planPath, adapter, data.base));
    sealed.push(result);
    sealMs.push(ms);
  }
  const updates = sealed.map(({ stored }) => stored);

  progress('Aggregating');
  const aggregating = await timed(() =>
    aggregate(join(fleet, 'aggregator'), planPath, updates, aggregatePath),
  );

  progress('Answering');
  const answers: string[] = [];
  const answerMs: number[] = [];
  for (let i = 1; i <= CUSTODIANS; i += 1) {
    const out = join(round, `custodian-${i}.tgs`);
    const custodian = join(fleet, 'custodians', `custodian-${i}`);
    answerMs.push((await timed(() => answer(custodian, planPath, aggregatePath, out))).ms);
    answers.push(out);
  }

  progress('Opening');
  const ownerDirectory = join(fleet, 'owner');
  const opening = await timed(async () => {
    const { owner, plan } = await ownerWithPlan(ownerDirectory, planPath);
    await openRound({
      owner,
      plan,
      aggregate: aggregatePath,
      answers,
      base: data.base,
      verify: updates,
      out: average,
    });
    return plan;
  });
  const closing = await timed(async () => {
    const { owner, plan } = await ownerWithPlan(ownerDirectory, planPath);
    const { record, body } = await closeRound(owner, plan, aggregatePath, undefined);
    await replaceFile(join(round, 'round.tgc'), record);
    return body.opened.length;
  });
  return {
    plan: opening.result,
    robots: data.trained.length,
    custodians: CUSTODIANS,
    threshold: THRESHOLD,
    updateFileBytes: (await stat(updates[0] as string)).size,
    ciphertextBytes: opening.result.arithmetic.ciphertextBytes,
    saturatedValues: sealed.reduce((sum, { saturatedValues }) => sum + saturatedValues, 0),
    closedWith: closing.result,
    average,
    milliseconds: {
      plan: planning.ms,
      seal: sealMs,
      aggregate: aggregating.ms,
      answer: answerMs,
      open: opening.ms,
      close: closing.ms,
    },
  };
}
