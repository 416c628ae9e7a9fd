/** What is encrypted: a plan, values within its bound, and the keys of one client. */
import { randomBytes, randomFillSync } from 'node:crypto';
import { EnvironmentError } from '../lib/errors.js';
import { encrypt } from '../lib/lwe/encrypt.js';
import { openAggregate } from '../lib/lwe/open.js';
import { parameterSet } from '../lib/lwe/parameters.js';
import { type PlanArithmetic, type PlanSegment, planArithmetic } from '../lib/lwe/plan.js';
import { native } from '../lib/native.js';

export interface WorkloadSpec {
  readonly bits: number;
  readonly maxClients: number;
  readonly valueCount: number;
}

export interface Workload {
  readonly spec: WorkloadSpec;
  readonly plan: PlanArithmetic;
  /** The plan's only one: values of one width. */
  readonly segment: PlanSegment;
  readonly seed: Uint8Array;
  readonly planFingerprint: Uint8Array;
  readonly prfKey: Uint8Array;
  readonly values: Int32Array;
}

/** A workload as the results name it. */
export interface WorkloadFigures extends WorkloadSpec {
  readonly parameterSet: string;
  readonly fold: number;
  readonly plaintextBits: number;
  readonly wireBits: number;
  readonly coefficients: number;
  readonly ciphertextBytes: number;
}

/** Values spread evenly over -bound..bound, near enough for what a benchmark needs of them. */
function randomValues(count: number, bound: number): Int32Array {
  const bytes = randomFillSync(new Uint8Array(count));
  return Int32Array.from(bytes, (byte) => (byte % (2 * bound + 1)) - bound);
}

/** The default parameter set, one width, random keys, random values. */
export function makeWorkload(spec: WorkloadSpec): Workload {
  const { bits, maxClients, valueCount } = spec;
  const plan = planArithmetic({ parameterSet: 'lwe-192', maxClients, segments: [{ bits, valueCount }] });
  const [segment] = plan.segments as [PlanSegment];
  return {
    spec,
    plan,
    segment,
    seed: randomBytes(32),
    planFingerprint: randomBytes(32),
    prfKey: randomBytes(32),
    values: randomValues(spec.valueCount, segment.valueBound),
  };
}

/** Coefficients that the values need. The last ring element's padding is encrypted too, and is not counted. */
export function coefficientCount({ segment }: Pick<Workload, 'segment'>): number {
  return Math.ceil(segment.valueCount / segment.fold);
}

export function workloadFigures({ spec, plan, segment }: Workload): WorkloadFigures {
  return {
    ...spec,
    parameterSet: plan.parameterSet,
    fold: segment.fold,
    plaintextBits: segment.plaintextBits,
    wireBits: segment.wireBits,
    coefficients: coefficientCount({ segment }),
    ciphertextBytes: plan.ciphertextBytes,
  };
}

/** Encrypts the workload for one custodian of one, whose share is the secret's seed. */
export async function encryptWorkload(
  workload: Workload,
  ciphertext: Uint8Array,
  threads?: number,
): Promise<Uint8Array> {
  const { plan, seed, planFingerprint, prfKey, values } = workload;
  const [share] = await encrypt({
    plan,
    seed,
    planFingerprint,
    prfKey,
    values,
    ciphertext,
    threshold: 1,
    custodians: 1,
    ...(threads === undefined ? {} : { threads }),
  });
  return share as Uint8Array;
}

/** Adds the secret behind a share to n residues mod q. */
export function addSecret(workload: Workload, share: Uint8Array, residues: Uint32Array): void {
  const added = native().addShare({
    parameterSet: parameterSet(workload.plan.parameterSet).nativeId,
    planFingerprint: workload.planFingerprint,
    threshold: 1,
    index: 1,
    share,
    accumulator: residues,
  });
  if (!added) throw wrongResult('a share that encryption dealt is refused');
}

/** Residues mod q, centred: S, as opening takes it. */
export function centredSecretSum(workload: Workload, residues: Uint32Array): Int32Array {
  const { q } = parameterSet(workload.plan.parameterSet);
  return Int32Array.from(residues, (residue) => (residue > q / 2 ? residue - q : residue));
}

/** Refuses to time kernels whose ciphertext does not decode to what went in. */
export async function requireRoundTrip(workload: Workload): Promise<void> {
  const { plan, seed, planFingerprint } = workload;
  const ciphertext = new Uint8Array(plan.ciphertextBytes);
  const residues = new Uint32Array(parameterSet(plan.parameterSet).n);
  addSecret(workload, await encryptWorkload(workload, ciphertext), residues);
  const values = new Int32Array(plan.valueCount);
  await openAggregate({
    plan,
    seed,
    planFingerprint,
    aggregate: ciphertext,
    secretSum: centredSecretSum(workload, residues),
    contributors: 1,
    values,
  });
  requireEqual(values, workload.values, 1);
}

/** Every opened value must be `factor` times what each client encrypted. */
export function requireEqual(opened: Int32Array, values: Int32Array, factor: number): void {
  if (opened.some((value, i) => value !== factor * (values[i] as number))) {
    throw wrongResult('the values that were opened are not those that were encrypted');
  }
}

function wrongResult(what: string): EnvironmentError {
  return new EnvironmentError(
    'bench.wrong-result',
    `Nothing was timed, because ${what}. Run "npm test": the addon does not compute what it should on this machine.`,
  );
}
