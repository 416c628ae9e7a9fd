/** Keys of the store, and how names become parts of them. */
export const ROSTER_PREFIX = 'roster';
/** Below a prefix, by which it is watched and listed. */
export const ROSTER_KEY = `${ROSTER_PREFIX}.newest`;
export const ENROLMENT_PREFIX = 'enrolment';
export const RELEASE_PREFIX = 'release';
export const COHORT_PREFIX = 'cohort';
/** Which plan a round has. */
export const SLOT_PREFIX = 'slot';
export const HEALTH_PREFIX = 'health';
/** One record a policy: its history and its newest rollout. */
export const ROLLOUT_PREFIX = 'rollout';
/** Below it, by policy and counter, rollouts that are no policy's newest any more. */
export const PAST_ROLLOUT_PREFIX = 'rollout-past';
/** By the verdict's own fingerprint. */
export const VERDICT_PREFIX = 'verdict';
/** By the adapter's fingerprint: the verdicts on it. */
export const CANDIDATE_PREFIX = 'candidate';
/** One record a client. */
export const REPORT_PREFIX = 'report';
export const RECORD_PREFIX = 'record';
export const SEEN_PREFIX = 'seen';
export const CUSTODY_PREFIX = 'custody';

/** A name as one part of a key: ids may hold dots, which separate parts. No two names give the same part. */
export function keySegment(name: string): string {
  return name.replaceAll('_', '__').replaceAll('.', '_d');
}

/** The name that `keySegment` made this part of. */
export function keyName(segment: string): string {
  return segment.replaceAll(/_(_|d)/g, (_, escaped: string) => (escaped === 'd' ? '.' : '_'));
}
