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
/** One record a client. */
export const REPORT_PREFIX = 'report';
export const RECORD_PREFIX = 'record';
export const SEEN_PREFIX = 'seen';
export const CUSTODY_PREFIX = 'custody';

/** A name as one part of a key: ids may hold dots, which separate parts. No two names give the same part. */
export function keySegment(name: string): string {
  return name.replaceAll('_', '__').replaceAll('.', '_d');
}
