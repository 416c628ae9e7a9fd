/** Seals one delta in a process of its own, in the documented order, and releases the update to a file. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { copyFile } from 'node:fs/promises';
import { openClientState, type StoredUpdate } from '../../../lib/custody/client-state.js';
import { TensorGuardError } from '../../../lib/errors.js';
import { replaceFile } from '../../../lib/files.js';
import { bytes32 } from './bytes.js';
import { countWrites } from './kill-point.js';

export interface ClientChildArgument {
  readonly directory: string;
  readonly delta: string;
  readonly plan: string;
  readonly round: number;
  /** Where the update is released, which is the last write. */
  readonly releasedPath: string;
  /** Wait for a message before sealing, so that several children seal at once. */
  readonly waitForStart: boolean;
}

export type ClientChildMessage = 'ready' | { readonly code: string } | { readonly update: string };

const argument = JSON.parse(process.argv[2] ?? '') as ClientChildArgument;

async function seal(): Promise<ClientChildMessage> {
  const state = await openClientState(argument.directory);
  if (argument.waitForStart) {
    process.send?.('ready' satisfies ClientChildMessage);
    await once(process, 'message');
  }
  countWrites(true);
  const delta = { deltaDigest: bytes32(argument.delta), plan: bytes32(argument.plan) };
  const round = { fleet: 'fleet', policy: 'policy', cohort: 'all', round: argument.round };
  try {
    const claim = await state.claim({ ...delta, ...round });
    let sealed: StoredUpdate;
    if (claim === 'new') {
      // Like a fresh secret, every encryption differs.
      const content = randomBytes(64).toString('hex');
      const update = bytes32(content);
      await replaceFile(state.sealedPath(update), content, { mode: 0o600 });
      sealed = await state.recordSealed({ ...delta, update });
    } else {
      sealed = claim;
    }
    await copyFile(sealed.stored, argument.releasedPath);
    return { update: Buffer.from(sealed.update).toString('hex') };
  } catch (error) {
    if (!(error instanceof TensorGuardError)) throw error;
    return { code: error.code };
  } finally {
    countWrites(false);
    state.close();
  }
}

const result = await seal();
process.send?.(result, () => process.disconnect());
