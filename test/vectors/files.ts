/** The committed files, and who made them: test keys that stand in the open, and protect nothing. */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { TrustedRoster } from '../../lib/custody/roster.js';
import { readTrustedPlan, type TrustedPlan } from '../../lib/custody/trusted-plan.js';
import { packageRoot } from '../../lib/native.js';
import type { SignatureAlgorithm } from '../../lib/package/keys.js';
import type { Policy } from '../../lib/policy/policy.js';
import { createMembers, type Members, trustRosters } from '../round/support/members.js';
import { forCustody, testPolicy } from '../round/support/policies.js';

export const VECTORS = join(packageRoot(), 'test', 'vectors');

export const UPDATES = ['update-1.tgu', 'update-2.tgu', 'update-3.tgu', 'update-4.tgu'] as const;
export const ANSWERS = ['answer-1.tgs', 'answer-2.tgs', 'answer-3.tgs'] as const;
export const CLIENTS = 4;
export const CUSTODIANS = 3;
export const HYBRID: readonly SignatureAlgorithm[] = ['ed25519', 'ml-dsa-65'];

export function vectorPath(name: string): string {
  return join(VECTORS, name);
}

export function vector(name: string): Promise<Uint8Array> {
  return readFile(vectorPath(name));
}

const hexSeed = z.string().regex(/^[0-9a-f]{64}$/);
const keysSchema = z.strictObject({ warning: z.string(), seeds: z.record(z.string(), hexSeed) });

/** Named seeds, as the key document has them. */
export function readSeeds(): Readonly<Record<string, string>> {
  return keysSchema.parse(JSON.parse(readFileSync(vectorPath('test-keys.json'), 'utf8'))).seeds;
}

function seedOf(name: string): Uint8Array {
  const seed = readSeeds()[name];
  if (seed === undefined) throw new Error(`test-keys.json has no "${name}"`);
  return new Uint8Array(Buffer.from(seed, 'hex'));
}

/** The members that made the files; with both signature algorithms, those of the `hybrid-` files. */
export function vectorMembers(algorithms: readonly SignatureAlgorithm[] = ['ed25519']): Promise<Members> {
  return createMembers({ clients: CLIENTS, custodians: CUSTODIANS, algorithms, seedOf });
}

/** The threshold of both rosters. */
export const THRESHOLD = 2;

/** What everyone in the round allows: fewer coordinates, rotated, at widths of their own, by two experts. */
export const VECTOR_POLICY: Policy = forCustody(
  testPolicy({
    envelope: { targetUpdateBytes: 30_500 },
    training: { bits: { min: 3, max: 6 }, keepRatio: 0.75, rotation: true },
    experts: [
      { name: 'language', modules: ['**.q_proj'], weight: 1 },
      { name: 'action', modules: ['**.v_proj'], weight: 1 },
    ],
  }),
  THRESHOLD,
  CUSTODIANS,
);

/** The `hybrid-` files': noise, B alone, weights by samples. */
export const HYBRID_POLICY: Policy = forCustody(
  testPolicy({
    encryption: { signatureAlgorithms: [...HYBRID] },
    privacy: { mechanism: 'skellam', clip: 0.5, noiseMultiplier: 1, delta: 1e-5 },
    training: { loraMode: 'frozen-a', bits: 6, rotation: true, samplesForFullWeight: 10_000 },
  }),
  THRESHOLD,
  CUSTODIANS,
);

/** By update of the round, its weights for the experts, in units of 2^-16; undefined: 1 each. */
export const WEIGHTS: readonly (readonly number[] | undefined)[] = [
  undefined,
  [65_536, 49_152],
  [65_536, 32_768],
  undefined,
];

/** Sums of levels of the first three updates, 32-bit little-endian, in the order of the message. */
export const SUMS = 'sums.i32';

const expectedSchema = z.strictObject({
  fingerprints: z.record(z.string(), hexSeed),
  set: hexSeed,
  saturatedValues: z.array(z.int()),
});

export type ExpectedFacts = z.infer<typeof expectedSchema>;

/** What must be found in the files. */
export async function readExpected(): Promise<ExpectedFacts> {
  return expectedSchema.parse(JSON.parse(await readFile(vectorPath('expected.json'), 'utf8')));
}

export interface VectorRound {
  readonly members: Members;
  readonly roster: TrustedRoster;
  readonly plan: TrustedPlan;
}

/** The roster and plan of the committed round, trusted. */
export async function openVectors(pinDirectory: string, prefix: '' | 'hybrid-' = ''): Promise<VectorRound> {
  const members = await vectorMembers(prefix === '' ? ['ed25519'] : HYBRID);
  const roster = await trustRosters(pinDirectory, await vector(`${prefix}roster.tgo`));
  const plan = await readTrustedPlan(await vector(`${prefix}plan.tgp`), roster);
  return { members, roster, plan };
}
