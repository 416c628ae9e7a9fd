/**
 * Real updates, sealed beforehand: each robot's values, encrypted under a secret of its own, its shares sealed to the
 * custodians, signed with its key. The values are whole levels, so that what a round must come to is known exactly.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sealMessage } from '../../lib/custody/seal.js';
import { hex } from '../../lib/package/messages/common.js';
import { UPDATE_SCHEMA_VERSION } from '../../lib/package/messages/update.js';
import { containerBytes, encodeContainer } from '../../lib/package/writer.js';
import { BITS, type PlannedRound, type Robot } from './fleet.js';
import { SeededRandom } from './random.js';

export interface SealedUpdate {
  readonly robot: Robot;
  readonly path: string;
  /** 64 hexadecimal digits. */
  readonly fingerprint: string;
  readonly sizeBytes: number;
}

const MAX_LEVEL = 2 ** (BITS - 1) - 1;

/** One robot's levels in one round, within the bound of its bits. The same again whenever it is asked. */
export function levelsOf(seed: string, round: number, robot: number, count: number): Int32Array {
  const random = new SeededRandom(seed, 'levels', round, robot);
  const levels = new Int32Array(count);
  for (let i = 0; i < count; i += 1) levels[i] = random.below(2 * MAX_LEVEL + 1) - MAX_LEVEL;
  return levels;
}

/** Seals one update after the other; encryption itself takes all processors. */
export async function sealUpdates(
  directory: string,
  plan: PlannedRound,
  robots: readonly Robot[],
  seed: string,
): Promise<SealedUpdate[]> {
  await mkdir(directory, { recursive: true });
  const sealed: SealedUpdate[] = [];
  for (const robot of robots) sealed.push(await sealOne(directory, plan, robot, seed));
  return sealed;
}

async function sealOne(
  directory: string,
  { trusted }: PlannedRound,
  robot: Robot,
  seed: string,
): Promise<SealedUpdate> {
  const { body, fingerprint, arithmetic } = trusted;
  const { fleet, policy, cohort, round, parameterSet, keyEpoch, adapterSchema } = body;
  const values = levelsOf(seed, round, robot.number, arithmetic.valueCount);
  const { ciphertext, shares } = await sealMessage(
    trusted,
    robot.id,
    robot.signing.keyId,
    new Uint8Array(randomBytes(32)),
    values,
  );
  const container = await encodeContainer({
    kind: 'update',
    body: {
      ...{ schema: UPDATE_SCHEMA_VERSION, fleet, policy, cohort, round, plan: fingerprint },
      ...{ client: robot.id, parameterSet, keyEpoch, adapterSchema },
    },
    sections: [
      { name: 'ciphertext', data: ciphertext },
      { name: 'shares', data: shares },
    ],
    signer: robot.signing,
  });
  const path = join(directory, `${robot.id}.tgu`);
  const bytes = containerBytes(container);
  await writeFile(path, bytes);
  return { robot, path, fingerprint: hex(container.envelope.fingerprint), sizeBytes: bytes.length };
}

export const DAMAGES = ['byte-of-ciphertext', 'byte-of-header', 'too-short', 'too-long'] as const;
export type Damage = (typeof DAMAGES)[number];

/** What arrives of an update when something on the way breaks it. */
export async function damaged({ path }: SealedUpdate, damage: Damage): Promise<Uint8Array> {
  const bytes = new Uint8Array(await readFile(path));
  if (damage === 'too-short') return bytes.subarray(0, bytes.length - 7);
  if (damage === 'too-long') return Uint8Array.from(Buffer.concat([bytes, Buffer.alloc(7)]));
  // The header is the first few hundred bytes; the ciphertext ends before the last few thousand.
  const at = damage === 'byte-of-header' ? 100 : bytes.length >> 1;
  bytes[at] = (bytes[at] as number) ^ 1;
  return bytes;
}
