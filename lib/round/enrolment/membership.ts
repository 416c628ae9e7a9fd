/** What enrolments of every role have in common. */
import { hex, sameBytes } from '../../custody/fields.js';
import { RefusedError } from '../../errors.js';
import {
  keyIdOf,
  type PublicKeys,
  SIGNATURE_ALGORITHMS,
  type SignatureAlgorithm,
} from '../../package/keys.js';
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

/** @throws RefusedError `enrolment.listed-twice` */
export function requireDistinct(enrolments: readonly EnrolmentBody[]): void {
  const seen = new Set<string>();
  for (const enrolment of enrolments) {
    const who = describeMember(enrolment);
    if (seen.has(who)) {
      throw new RefusedError(
        'enrolment.listed-twice',
        `There are two enrolments of ${who}. Pass the one that counts.`,
      );
    }
    seen.add(who);
  }
}

/** @throws RefusedError `enrolment.algorithm-missing` */
export function requireAlgorithms(
  required: readonly SignatureAlgorithm[],
  enrolments: readonly EnrolmentBody[],
): void {
  for (const enrolment of enrolments) {
    const missing = required.find((algorithm) => enrolment.keys[algorithm] === undefined);
    if (missing === undefined) continue;
    throw new RefusedError(
      'enrolment.algorithm-missing',
      `The fleet requires signatures with ${missing}, and ${describeMember(enrolment)} has no such key. Set it up again with ` +
        '--post-quantum-signatures.',
    );
  }
}

export interface KeyHolder {
  /** One member has one name here, however often it stands in the list. */
  readonly who: string;
  readonly keys: PublicKeys;
  readonly kem?: Uint8Array | undefined;
}

/**
 * No key is two members': one machine would count as two, or what one member signed would be another's.
 *
 * @throws RefusedError `enrolment.duplicate-key`
 */
export function requireOwnKeys(members: readonly KeyHolder[]): void {
  const holders = new Map<string, string>();
  const claim = (key: string, what: string, who: string): void => {
    const holder = holders.get(key) ?? who;
    holders.set(key, holder);
    if (holder === who) return;
    throw new RefusedError(
      'enrolment.duplicate-key',
      `${who} has the ${what} key of ${holder}. Every machine makes keys of its own: set it up in a new directory.`,
    );
  };
  for (const { who, keys, kem } of members) {
    for (const algorithm of SIGNATURE_ALGORITHMS) {
      const key = keys[algorithm];
      if (key !== undefined) claim(`${algorithm} ${hex(key)}`, algorithm, who);
    }
    if (kem !== undefined) claim(`kem ${hex(kem)}`, 'KEM', who);
  }
}

export function keyHolder(enrolment: EnrolmentBody): KeyHolder {
  return { who: describeMember(enrolment), keys: enrolment.keys, kem: enrolment.kem };
}
