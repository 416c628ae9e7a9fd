/** Carries retention out, beside uploads that go on. */
import { blobsToKeep, mayGo, type RetentionPolicy, type RoundBlobs, requirePolicy } from './retention.js';
import type { Store, StoredBlob } from './store.js';

export interface SweepReport {
  readonly removed: number;
  readonly removedBytes: number;
  readonly kept: number;
}

/**
 * Removes the blobs that `policy` lets go, and what interrupted writes have left.
 *
 * The blobs are listed before `rounds` is called, so that a round that refers to a listed blob by then is seen; and a
 * blob that is put again while this runs is new again, and stays. What refers to a blob without putting it first, after
 * its grace, may lose it. Killed in the middle, it has removed some of what may go; two of them at once do no harm.
 *
 * @param rounds reads all rounds, from the state itself and not from memory
 * @throws ParameterError `store.bad-retention`; what `rounds` and the store throw
 */
export async function sweepBlobs(
  store: Store,
  rounds: () => Promise<readonly RoundBlobs[]>,
  policy: RetentionPolicy,
): Promise<SweepReport> {
  requirePolicy(policy);
  const storedBeforeMs = Date.now() - policy.graceMs;
  const old: StoredBlob[] = [];
  let kept = 0;
  for await (const blob of store.blobs.list()) {
    if (blob.storedAtMs < storedBeforeMs) old.push(blob);
    else kept += 1;
  }
  const keep = blobsToKeep(await rounds(), policy);
  let [removed, removedBytes] = [0, 0];
  for (const blob of old) {
    if (mayGo(blob, keep, storedBeforeMs) && (await store.blobs.remove(blob.digest, { storedBeforeMs }))) {
      removed += 1;
      removedBytes += blob.sizeBytes;
    } else {
      kept += 1;
    }
  }
  await store.collectLeftovers();
  return { removed, removedBytes, kept };
}
