/** Keys of the store that are no round's. */
export const ROSTER_KEY = 'roster';
export const ENROLMENT_PREFIX = 'enrolment';
export const RELEASE_PREFIX = 'release';
