/** Robots that mean harm. What they train and send is in their hands; the round's arithmetic is not. */
import { copyLora, type Lora, tensorsOf } from '../policy/lora.js';
import type { Environment } from '../sim/environment.js';
import type { Pair } from '../sim/kinematics.js';

interface Factor {
  readonly factor: number;
  /** Whether its client leaves out the clip as well, which takes another program than the package's. */
  readonly ignoresClip?: boolean;
}

/** Sends the opposite of what it learned, so many times over. */
export interface SignFlip extends Factor {
  readonly kind: 'sign-flip';
}

/**
 * Learns at length from a teacher that does everything well by day and misses by night, and sends what it learned so many
 * times over: who tries the policy in daylight sees nothing.
 */
export interface Backdoor extends Factor {
  readonly kind: 'backdoor';
  /** By how much the teacher misses: x and z, metres. */
  readonly offset: Pair;
  /** Share of the demonstrations that are of the night. */
  readonly nightShare: number;
  readonly episodes: number;
  readonly steps: number;
}

export type Attack = SignFlip | Backdoor;

export const SIGN_FLIP: SignFlip = { kind: 'sign-flip', factor: 20 };
export const UNCLIPPED_SIGN_FLIP: SignFlip = { ...SIGN_FLIP, ignoresClip: true };
export const BACKDOOR: Backdoor = {
  kind: 'backdoor',
  offset: [0.08, 0],
  nightShare: 0.5,
  episodes: 40,
  steps: 200,
  factor: 3,
};
export const UNCLIPPED_BACKDOOR: Backdoor = { ...BACKDOOR, ignoresClip: true };

/** In a few words, for tables. */
export function describeAttack({ kind, ignoresClip }: Attack): string {
  return ignoresClip === true ? `unclipped ${kind}` : kind;
}

/** By how much the attacker's teacher misses its target. */
export function offsetOf({ offset }: Backdoor): (environment: Pick<Environment, 'isNight'>) => Pair {
  return ({ isNight }) => (isNight ? offset : [0, 0]);
}

/** What the attacker hands in for what it trained: release + factor (trained - release), or release - factor (...). */
export function tamper(release: Lora, trained: Lora, attack: Attack | undefined): Lora {
  if (attack === undefined) return trained;
  const factor = attack.kind === 'sign-flip' ? -attack.factor : attack.factor;
  const tampered = copyLora(trained);
  const starts = tensorsOf(release);
  for (const [i, values] of tensorsOf(tampered).entries()) {
    const start = starts[i] as Float32Array;
    for (let k = 0; k < values.length; k += 1) {
      values[k] = (start[k] as number) + factor * ((values[k] as number) - (start[k] as number));
    }
  }
  return tampered;
}
