/** A round, stage by stage, and how far it is from its quorum. */
import type { RoundStatus, RoundSummary } from '../../server/rounds/round-status.js';

export type RoundPhase = RoundSummary['phase'];

export const PHASE_TITLES: Readonly<Record<RoundPhase, string>> = {
  planned: 'Planned',
  open: 'Collecting updates',
  'sealed-off': 'Sealed off',
  summing: 'Summing',
  'awaiting-answers': 'Waiting for custodians',
  failed: 'Failed',
  opened: 'Opened by the owner',
  released: 'Released to the fleet',
};

/** Without `failed`, which a round goes through only where it fails. */
const STAGES: readonly RoundPhase[] = [
  'planned',
  'open',
  'sealed-off',
  'summing',
  'awaiting-answers',
  'opened',
  'released',
];

export interface Stage {
  readonly phase: RoundPhase;
  readonly title: string;
  /** `skipped`: the round went past it, or failed before. */
  readonly standing: 'done' | 'current' | 'failed' | 'to-come' | 'skipped';
  readonly enteredAtMs: number | undefined;
  /** Until the next stage that it came to; undefined for the one that it is in. */
  readonly durationMs: number | undefined;
}

type Timed = Pick<RoundSummary, 'phase' | 'enteredAtMs'>;

export function stagesOf({ phase, enteredAtMs }: Timed): Stage[] {
  const hasFailed = enteredAtMs.failed !== undefined;
  const listed = hasFailed ? [...STAGES.slice(0, 5), 'failed' as const, ...STAGES.slice(5)] : STAGES;
  const present = listed.indexOf(phase);
  return listed.map((name, index) => {
    const entered = enteredAtMs[name];
    const next = listed.slice(index + 1).flatMap((later) => enteredAtMs[later] ?? [])[0];
    return {
      phase: name,
      title: PHASE_TITLES[name],
      standing: standingOf({ name, isEntered: entered !== undefined, present, index, phase }),
      enteredAtMs: entered,
      durationMs: entered === undefined || next === undefined ? undefined : Math.max(0, next - entered),
    };
  });
}

function standingOf(of: {
  readonly name: RoundPhase;
  readonly isEntered: boolean;
  readonly present: number;
  readonly index: number;
  readonly phase: RoundPhase;
}): Stage['standing'] {
  if (of.name === 'failed') return 'failed';
  if (of.index === of.present) return of.name === 'released' ? 'done' : 'current';
  if (of.isEntered) return 'done';
  return of.index < of.present || of.phase === 'failed' ? 'skipped' : 'to-come';
}

export function hasEnded(phase: RoundPhase): boolean {
  return phase === 'failed' || phase === 'opened' || phase === 'released';
}

export interface QuorumRing {
  readonly received: number;
  readonly quorum: number;
  /** Who may send: the whole ring. */
  readonly eligible: number;
  /** Parts of the ring, from 0 to 1. */
  readonly receivedPart: number;
  readonly quorumPart: number;
  readonly isReached: boolean;
}

export function quorumRing(received: number, quorum: number, eligible: number): QuorumRing {
  // A round may have more senders than are eligible now; the ring is full then, not more than full.
  const whole = Math.max(eligible, received, quorum, 1);
  return {
    ...{ received, quorum, eligible },
    receivedPart: received / whole,
    quorumPart: quorum / whole,
    isReached: received >= quorum,
  };
}

export interface RefusalLine {
  readonly who: string | undefined;
  readonly stage: 'on arrival' | 'in the sum' | 'by a custodian';
  readonly code: string;
  readonly reason: string;
  readonly atMs: number | undefined;
}

/** Everything that was turned away, wherever it was. */
export function refusalsOf({ refusals, aggregate, custodianRefusals }: RoundStatus): RefusalLine[] {
  return [
    ...refusals.map(({ client, code, reason, atMs }) => ({
      ...{ who: client, stage: 'on arrival' as const, code, reason, atMs },
    })),
    ...(aggregate?.refused ?? []).map(({ client, code, reason, atMs }) => ({
      ...{ who: client, stage: 'in the sum' as const, code, reason, atMs },
    })),
    ...custodianRefusals.map(({ custodian, code, reason, atMs }) => ({
      ...{ who: custodian, stage: 'by a custodian' as const, code, reason, atMs },
    })),
  ];
}
