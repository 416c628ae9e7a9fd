/** The phases of a round, and which of them is an end. */
import { z } from 'zod';

/**
 * In the only order in which a round goes through them; it may leave some out.
 *
 * `failed` stands before `opened`: where the service gives a round up, the owner may have opened it all the same, and
 * the owner's signed close record is the last word. Without one nothing is settled, and no client seals its delta again.
 */
export const PHASES = [
  'planned',
  'open',
  'sealed-off',
  'summing',
  'awaiting-answers',
  'failed',
  'opened',
  'released',
] as const;

export const phaseSchema = z.enum(PHASES);

export type Phase = (typeof PHASES)[number];

export function isBefore(phase: Phase, other: Phase): boolean {
  return PHASES.indexOf(phase) < PHASES.indexOf(other);
}

/** Whether the round came to an end: it takes no updates, sums or answers any more, and no time changes it. */
export function hasEnded(phase: Phase): boolean {
  return !isBefore(phase, 'failed');
}
