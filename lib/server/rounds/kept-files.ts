/** Files of rounds that may have been let go since: retention ends them, and that is no failure of the store. */
import { EnvironmentError, RefusedError } from '../../errors.js';
import type { RoundState } from '../../round/machine/state.js';
import type { BlobStore } from '../../store/store.js';
import type { StoredFile } from '../files/stored-file.js';
import type { UpdateIntake, Upload } from './update-intake.js';

function gone(): RefusedError {
  return new RefusedError(
    'request.gone',
    'The round is closed, and its ciphertexts are not kept any more. Its plan, answers and close record are.',
  );
}

/**
 * Whether every byte of a file of this round is there, before the first one is sent.
 *
 * @throws RefusedError `request.gone`; EnvironmentError `store.blob-missing` where the round is not closed
 */
export async function requireKept(blobs: BlobStore, state: RoundState, file: StoredFile): Promise<void> {
  for (const { digest } of file) {
    if (await blobs.has(digest)) continue;
    if (state.close !== undefined) throw gone();
    throw new EnvironmentError(
      'store.blob-missing',
      `The store has lost the blob ${digest} of an open round.`,
    );
  }
}

/**
 * An upload as far as it has arrived; undefined where none was begun.
 *
 * @throws RefusedError `request.gone`
 */
export async function keptUpload(
  intake: UpdateIntake,
  plan: string,
  state: RoundState,
  fingerprint: string,
): Promise<Upload | undefined> {
  try {
    const upload = await intake.find(plan, fingerprint);
    if (upload !== undefined || state.close === undefined) return upload;
  } catch (error) {
    const isMissing = error instanceof EnvironmentError && error.code === 'store.blob-missing';
    if (!isMissing || state.close === undefined) throw error;
    throw gone();
  }
  const isKnown = state.members.some(({ update }) => update?.fingerprint === fingerprint);
  if (isKnown) throw gone();
  return undefined;
}
