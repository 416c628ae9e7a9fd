/**
 * The states of a key and the ways between them, after NIST SP 800-57 part 1 (revision 5), section 7.
 *
 * Stricter than it in two places: a suspended key processes nothing until it is active again, and a compromised one
 * opens nothing at all without break-glass, where the standard leaves both to the owner's policy.
 */
import { RefusedError } from '../../errors.js';

export const KEY_STATES = [
  'pre-activation',
  'active',
  'suspended',
  'deactivated',
  'compromised',
  'destroyed',
] as const;
export type KeyState = (typeof KEY_STATES)[number];

/** Every transition there is. Destroyed is the end; nothing returns from compromised. */
export const TRANSITIONS: Readonly<Record<KeyState, readonly KeyState[]>> = {
  'pre-activation': ['active', 'compromised', 'destroyed'],
  active: ['suspended', 'deactivated', 'compromised'],
  suspended: ['active', 'deactivated', 'compromised'],
  deactivated: ['compromised', 'destroyed'],
  compromised: ['destroyed'],
  destroyed: [],
};

/** What a key may be used for: to protect (sign, be sealed to), or to process what was protected before. */
export const PERMITTED: Readonly<Record<KeyState, { readonly protect: boolean; readonly process: boolean }>> =
  {
    'pre-activation': { protect: false, process: false },
    active: { protect: true, process: true },
    suspended: { protect: false, process: false },
    deactivated: { protect: false, process: true },
    compromised: { protect: false, process: false },
    destroyed: { protect: false, process: false },
  };

/** @throws RefusedError `key.bad-transition` */
export function requireTransition(name: string, from: KeyState, to: KeyState): void {
  if (TRANSITIONS[from].includes(to)) return;
  const allowed = TRANSITIONS[from].join(', ') || 'nothing: that is its end';
  throw new RefusedError(
    'key.bad-transition',
    `Key "${name}" is ${from} and cannot become ${to}. From there it can become: ${allowed}.`,
  );
}

/** The states to go through from `from` to destroyed, without `from`. */
export function wayToDestruction(from: KeyState): readonly KeyState[] {
  if (from === 'destroyed') return [];
  return TRANSITIONS[from].includes('destroyed') ? ['destroyed'] : ['deactivated', 'destroyed'];
}
