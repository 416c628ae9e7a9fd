/** What names a round for ever: one plan and one set are answered for it, once. */
import { encodeFields, type Field } from './fields.js';

/** Fleet, policy and cohort are 1 to 255 bytes of UTF-8; the round is an integer in [0, 2^53). */
export interface RoundKey {
  readonly fleet: string;
  readonly policy: string;
  readonly cohort: string;
  readonly round: number;
}

/** The fields of a round key, in the order in which every encoding lists them. */
export function roundFields(key: RoundKey): readonly Field[] {
  return [
    ['fleet', key.fleet],
    ['policy', key.policy],
    ['cohort', key.cohort],
    ['round', key.round],
  ];
}

/** @throws ParameterError `field.bad-text`, `field.bad-integer` */
export function requireRoundKey(key: RoundKey): void {
  encodeFields('round', roundFields(key));
}

export function sameRound(left: RoundKey, right: RoundKey): boolean {
  return (
    left.fleet === right.fleet &&
    left.policy === right.policy &&
    left.cohort === right.cohort &&
    left.round === right.round
  );
}

/** The round in words, for error messages. */
export function describeRound(key: RoundKey): string {
  return `round ${key.round} (fleet "${key.fleet}", policy "${key.policy}", cohort "${key.cohort}")`;
}
