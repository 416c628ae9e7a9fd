/** The files of a sealed set, as the sum reads them: opened one at a time, and by whichever process sums. */
import { EnvironmentError, RefusedError } from '../../errors.js';
import type { Envelope } from '../../package/envelope.js';
import type { ByteSource } from '../../package/source.js';
import { type Outlier, type RoundState, sentFiles, sentUpdates } from '../../round/machine/state.js';
import type { SummedFile } from '../../round/sum-in-progress.js';
import type { Store } from '../../store/store.js';
import { type StoredFile, StoredFileSource } from '../files/stored-file.js';
import { readFileRecord } from './stored-round.js';
import type { UpdateIntake } from './update-intake.js';

export interface SealedFilesOptions {
  readonly plan: string;
  readonly store: Store;
  readonly intake: UpdateIntake;
  /** Takes what the machine failed with, apart from what is wrong with an update. */
  readonly failures: EnvironmentError[];
  /** Of each update that a client sent itself. */
  readonly onRead: (fingerprint: string, envelope: Envelope<'update'>) => void;
  /** @throws where the process has to stop */
  readonly requireTime: () => void;
}

/** Named by their fingerprints, so that one that cannot even be read is reported by that. */
export function sealedFiles(state: RoundState, options: SealedFilesOptions): SummedFile[] {
  const { plan, store, intake, failures, onRead, requireTime } = options;
  const { updates, partialSums } = sentFiles(state);
  const file = (name: string, find: () => Promise<StoredFile | undefined>): SummedFile => ({
    name,
    open: () =>
      noting(failures, async () => {
        requireTime();
        requireNoOutlier(state, name);
        const stored = await find();
        if (stored === undefined) throw lost(name);
        const source = new StoredFileSource(store.blobs, stored);
        return {
          sizeBytes: source.sizeBytes,
          close: () => source.close(),
          read: (target, position) =>
            noting(failures, async () => {
              requireTime();
              await source.read(target, position);
            }),
        } satisfies ByteSource;
      }),
  });
  const update = async (name: string): Promise<StoredFile | undefined> => {
    const upload = await intake.find(plan, name);
    if (upload !== undefined) onRead(name, upload.envelope);
    return upload?.file;
  };
  const partialSum = async (name: string): Promise<StoredFile | undefined> =>
    (await readFileRecord(store.state, 'partialSum', plan, name))?.file;
  return [
    ...updates.map((name) => file(name, () => update(name))),
    ...partialSums.map((name) => file(name, () => partialSum(name))),
  ];
}

/**
 * A partial sum with a flagged update is left out whole: it cannot be taken apart.
 *
 * @throws RefusedError `update.outlier` where the round leaves out what tests flag
 */
function requireNoOutlier(state: RoundState, file: string): void {
  if (state.outliers?.action !== 'refuse') return;
  for (const { client, update } of sentUpdates(state)) {
    const isInFile = update.fingerprint === file || update.via?.partialSum === file;
    if (isInFile && update.outlier !== undefined) throw outlierRefused(client, update.outlier);
  }
}

/**
 * Keeps what the machine failed with, apart from what is wrong with the update. What the store has lost stays lost, and costs
 * this update and no other.
 */
async function noting<T>(failures: EnvironmentError[], body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (error instanceof EnvironmentError && error.code !== 'store.blob-missing') failures.push(error);
    throw error;
  }
}

function outlierRefused(client: string, { test, reason }: Outlier): RefusedError {
  return new RefusedError(
    'update.outlier',
    `The test ${test} flags the update of "${client}": ${reason}. Look at the client's training.`,
  );
}

function lost(fingerprint: string): EnvironmentError {
  return new EnvironmentError('store.blob-missing', `The store has lost the upload ${fingerprint}.`);
}
