/** What is compared: five ways for robots to learn from each other, or not to. */
import { EncryptedFleet } from './encrypted-fleet.js';
import type { Federation } from './federation.js';
import { plainAverage } from './plain-average.js';

export const ARM_NAMES = [
  'no federation',
  'plain FedAvg',
  'encrypted 8-bit',
  'encrypted 4-bit, keep 0.1',
  'encrypted with DP',
] as const;
export type ArmName = (typeof ARM_NAMES)[number];
export type FederatedArm = Exclude<ArmName, 'no federation'>;

export const PRIVACY = {
  mechanism: 'skellam',
  clip: Number(process.env.CLIP ?? 0.1),
  noiseMultiplier: Number(process.env.NM ?? 0.5),
  epsilon: 1000,
  delta: 1e-5,
  colluders: 1,
  hardStop: false,
} as const;

const SETTINGS = {
  'encrypted 8-bit': { training: { bits: 8, keepRatio: 1 } },
  'encrypted 4-bit, keep 0.1': { training: { bits: 4, keepRatio: 0.1 } },
  'encrypted with DP': { training: { bits: { min: 2, max: 8 }, keepRatio: Number(process.env.KEEP ?? 1) }, privacy: PRIVACY },
} as const;

export interface ArmOptions {
  /** Of this arm alone. */
  readonly directory: string;
  readonly robots: number;
}

export async function createFederation(arm: FederatedArm, options: ArmOptions): Promise<Federation> {
  if (arm === 'plain FedAvg') return plainAverage;
  return EncryptedFleet.create({ ...options, quorum: options.robots, settings: SETTINGS[arm] });
}
