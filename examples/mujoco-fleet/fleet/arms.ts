/** What is compared: ways for robots to learn from each other, or not to. */
import { EncryptedFleet } from './encrypted-fleet.js';
import type { Federation } from './federation.js';
import { plainAverage } from './plain-average.js';

export const ARM_NAMES = [
  'no federation',
  'plain FedAvg',
  'encrypted 8-bit',
  'encrypted 4-bit, keep 0.1',
  'encrypted 4-bit, keep 0.1, from owed',
  'encrypted with DP',
] as const;
export type ArmName = (typeof ARM_NAMES)[number];
export type FederatedArm = Exclude<ArmName, 'no federation'>;
export type EncryptedArm = Exclude<FederatedArm, 'plain FedAvg'>;
/** The one whose candidates pass a gate and come to robots in steps; in the others each is the next release. */
export const DEPLOYED_ARM = 'encrypted 8-bit' satisfies EncryptedArm;

/**
 * Noise as large as the clip, by all robots together: twelve rounds come to an epsilon of about 22 for all that one robot
 * sends, and the budget admits some thirteen. A robot's delta has a norm of 0.14; the smaller clip halves the noise, and
 * error feedback sends later what it cut off.
 */
export const PRIVACY = {
  mechanism: 'skellam',
  clip: 0.05,
  noiseMultiplier: 1,
  epsilon: 25,
  delta: 1e-5,
  colluders: 1,
} as const;

const FEW_BITS = { training: { bits: 4, keepRatio: 0.1 } } as const;

const SETTINGS = {
  'encrypted 8-bit': { training: { bits: 8, keepRatio: 1 } },
  'encrypted 4-bit, keep 0.1': FEW_BITS,
  'encrypted 4-bit, keep 0.1, from owed': FEW_BITS,
  'encrypted with DP': { training: { bits: { min: 2, max: 8 }, keepRatio: 1 }, privacy: PRIVACY },
} as const;

/** Settings over those of the preset, as a policy file writes them. */
export function settingsOf(arm: EncryptedArm): Readonly<Record<string, unknown>> {
  return SETTINGS[arm];
}

export interface ArmOptions {
  /** Of this arm alone. */
  readonly directory: string;
  readonly robots: number;
}

export async function createFederation(arm: FederatedArm, options: ArmOptions): Promise<Federation> {
  if (arm === 'plain FedAvg') return plainAverage;
  return EncryptedFleet.create({
    ...options,
    quorum: options.robots,
    settings: SETTINGS[arm],
    trainsFromOwed: arm === 'encrypted 4-bit, keep 0.1, from owed',
  });
}
