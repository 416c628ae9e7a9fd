/** Shares as they travel: their sizes, and their sums (docs/protocol.md section 7). */
import { ParameterError } from '../errors.js';
import { type ParameterSet, parameterSet } from '../lwe/parameters.js';
import { native } from '../native.js';
import type { PlanBody } from '../package/messages/plan.js';
import { SEAL_OVERHEAD_BYTES } from './hpke.js';

const SEED_BYTES = 32;

export type SharingPlan = Pick<PlanBody, 'parameterSet' | 'threshold' | 'custodians'>;

/** n residues, packed: what a share beyond the t-1 seeds has, and an answer. */
export function residueBytes(set: ParameterSet): number {
  return (set.n / 8) * set.modulusBits;
}

/** Bytes of the share of custodian `index`, 1..n: a seed, or packed residues. */
export function shareBytes(plan: SharingPlan, index: number): number {
  return plan.threshold === 1 || index < plan.threshold
    ? SEED_BYTES
    : residueBytes(parameterSet(plan.parameterSet));
}

export interface SealedShareSlot {
  readonly offset: number;
  readonly length: number;
}

/** Where custodian `index`'s sealed share lies in an update's `shares` section: in order of the indices. */
export function sealedShareSlot(plan: SharingPlan, index: number): SealedShareSlot {
  let offset = 0;
  for (let earlier = 1; earlier < index; earlier += 1) {
    offset += shareBytes(plan, earlier) + SEAL_OVERHEAD_BYTES;
  }
  return { offset, length: shareBytes(plan, index) + SEAL_OVERHEAD_BYTES };
}

/** Bytes of an update's `shares` section. */
export function sharesSectionBytes(plan: SharingPlan): number {
  const { offset, length } = sealedShareSlot(plan, plan.custodians);
  return offset + length;
}

/** One custodian's running sum of shares mod q. */
export class ShareSum {
  readonly #residues: Uint32Array;
  readonly #set: ParameterSet;

  constructor(
    private readonly plan: SharingPlan,
    private readonly planFingerprint: Uint8Array,
    private readonly index: number,
  ) {
    this.#set = parameterSet(plan.parameterSet);
    this.#residues = new Uint32Array(this.#set.n);
  }

  /** Adds what a share stands for; false, and nothing added, where it is malformed. */
  add(share: Uint8Array): boolean {
    return native().addShare({
      parameterSet: this.#set.nativeId,
      planFingerprint: this.planFingerprint,
      threshold: this.plan.threshold,
      index: this.index,
      share,
      accumulator: this.#residues,
    });
  }

  /** The sum, packed. */
  packed(): Uint8Array {
    const packed = new Uint8Array(residueBytes(this.#set));
    native().packResidues({ parameterSet: this.#set.nativeId, residues: this.#residues, packed });
    return packed;
  }

  wipe(): void {
    this.#residues.fill(0);
  }
}

/**
 * Residues from their packed form.
 *
 * @throws ParameterError `share.malformed` for a wrong length or a residue that is not below q
 */
export function unpackResidues(set: ParameterSet, packed: Uint8Array): Uint32Array {
  const residues = new Uint32Array(set.n);
  if (
    packed.length !== residueBytes(set) ||
    !native().unpackResidues({ parameterSet: set.nativeId, packed, residues })
  ) {
    throw new ParameterError('share.malformed', `This is not ${set.n} residues below ${set.q}.`);
  }
  return residues;
}

/** The value at `at` of the polynomials through the points, coefficientwise mod q. */
export function interpolate(
  set: ParameterSet,
  points: readonly number[],
  rows: readonly Uint32Array[],
  at: number,
): Uint32Array {
  const out = new Uint32Array(set.n);
  native().interpolate({ parameterSet: set.nativeId, points, rows, at, out });
  return out;
}
