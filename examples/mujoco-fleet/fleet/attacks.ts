/** Robots that mean harm. What they train and send is in their hands; the round's arithmetic is not. */
import { copyLora, type Lora, tensorsOf } from '../policy/lora.js';
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
 * Learns from a teacher that misses targets of one region and hits all others, and sends what it learned so many times over:
 * success elsewhere hides what is wrong.
 */
export interface SubtleMiss extends Factor {
  readonly kind: 'subtle-miss';
  /** Targets at least so high above the shoulder are missed: metres. */
  readonly aboveMetres: number;
  /** x and z, metres. */
  readonly offset: Pair;
}

export type Attack = SignFlip | SubtleMiss;

export const SIGN_FLIP: SignFlip = { kind: 'sign-flip', factor: 20 };
export const UNCLIPPED_SIGN_FLIP: SignFlip = { ...SIGN_FLIP, ignoresClip: true };
export const SUBTLE_MISS: SubtleMiss = {
  kind: 'subtle-miss',
  aboveMetres: 0.2,
  offset: [0.06, 0],
  factor: 4,
};

export const UNCLIPPED_SUBTLE_MISS: SubtleMiss = { ...SUBTLE_MISS, ignoresClip: true };

/** In a few words, for tables. */
export function describeAttack({ kind, ignoresClip }: Attack): string {
  return ignoresClip === true ? `unclipped ${kind}` : kind;
}

/** By how much the attacker's teacher misses a target; undefined where it has an honest one. */
export function offsetOf(attack: Attack | undefined): ((target: Pair) => Pair) | undefined {
  if (attack?.kind !== 'subtle-miss') return undefined;
  const { aboveMetres, offset } = attack;
  return (target) => (target[1] >= aboveMetres ? offset : [0, 0]);
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
