/** What enrolments of every role have in common. */
import { hex, sameBytes } from '../../custody/fields.js';
import { RefusedError } from '../../errors.js';
import { keyIdOf, type PublicKeys } from '../../package/keys.js';
import type { EnrolmentBody } from '../../package/messages/enrolment.js';

export interface EnrolmentChange {
  readonly enrolment: EnrolmentBody;
  /** The member's keys may be others than those that are listed: a robot whose disk was replaced. */
  readonly replace?: boolean | undefined;
}

export function describeMember({ role, id }: Pick<EnrolmentBody, 'role' | 'id'>): string {
  return role === 'coordinator' ? 'the coordinator' : `${role} "${id}"`;
}

export function sameKeys(a: PublicKeys, b: PublicKeys): boolean {
  return sameBytes(keyIdOf(a), keyIdOf(b));
}

export function requireReplace({ enrolment, replace }: EnrolmentChange): void {
  if (replace === true) return;
  throw new RefusedError(
    'enrolment.already-enrolled',
    `${describeMember(enrolment)} is enrolled with other keys (the new key id is ` +
      `${hex(keyIdOf(enrolment.keys)).slice(0, 16)}). If the machine was set up anew, enrol it with --replace; else find out ` +
      'who made this enrolment.',
  );
}
