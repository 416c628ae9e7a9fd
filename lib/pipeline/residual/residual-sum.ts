/** The committed residual that a change leads to, streamed from the two files into a third. */
import type { FileHandle } from 'node:fs/promises';
import { type ResidualFile, ResidualPass } from './residual-file.js';
import { nonFiniteSum } from './residual-refusals.js';
import { ResidualWriter } from './residual-writer.js';
import { firstNonFinite, PIECE_VALUES } from './value-pieces.js';

/**
 * Writes committed + change, added in float64 and rounded to float32, into the empty file `out`.
 *
 * The values are proven only at the end, by the same reading that added them, so that nothing can change in
 * between: `out` must not replace anything unless this returns.
 *
 * @param outPath for messages
 * @param committed of the change's value count; undefined for zero
 * @param updates for the new file, 32 bytes each
 * @throws VerificationError `residual.corrupt`; FormatError `residual.non-finite`; EnvironmentError
 *   `storage.failed`
 */
export async function writeSum(
  out: FileHandle,
  outPath: string,
  committed: ResidualFile | undefined,
  change: ResidualFile,
  updates: readonly Uint8Array[],
): Promise<void> {
  const { policy, schemaKey, valueCount } = change.header;
  const writer = await ResidualWriter.begin(out, outPath, {
    ...{ kind: 'committed', policy, schemaKey, valueCount },
    updateCount: updates.length,
  });
  const changePass = new ResidualPass(change);
  const committedPass = committed === undefined ? undefined : new ResidualPass(committed);
  const sum = new Float32Array(Math.min(PIECE_VALUES, valueCount));
  let done = 0;
  let bad = -1;
  try {
    for (;;) {
      const added = await changePass.next();
      const before = await committedPass?.next();
      if (added === undefined) break;
      const part = sum.subarray(0, added.length);
      addInto(part, before, added);
      // A flipped bit may make a NaN: only a file that proves whole is told that it holds one.
      if (bad < 0) {
        const index = firstNonFinite(part);
        bad = index < 0 ? -1 : done + index;
      }
      if (bad < 0) await writer.append(part);
      done += added.length;
    }
    if (bad >= 0) throw nonFiniteSum(change.path, bad);
    await writer.endValues();
    await writer.end(updates);
  } finally {
    sum.fill(0);
    changePass.dispose();
    committedPass?.dispose();
    writer.dispose();
  }
}

function addInto(out: Float32Array, before: Float32Array | undefined, added: Float32Array): void {
  if (before === undefined) {
    out.set(added);
    return;
  }
  for (let i = 0; i < out.length; i += 1) out[i] = (before[i] as number) + (added[i] as number);
}
