/** Values on their way between memory and a file: bounded pieces, little-endian bytes, nothing left behind. */
import type { FileHandle } from 'node:fs/promises';
import { endianness } from 'node:os';

/** One MiB: large enough that system calls cost nothing, small beside a robot's memory. */
export const PIECE_VALUES = 256 * 1024;

const BIG_ENDIAN_HOST = endianness() === 'BE';

/** The bytes of `values`, not a copy. */
export function bytesOf(values: Float32Array): Buffer {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength);
}

/** Turns values of this machine's byte order into little-endian ones in place, or back. */
export function swapIfBigEndian(bytes: Buffer): void {
  if (BIG_ENDIAN_HOST) bytes.swap32();
}

/** Index of the first NaN or infinity, or -1. */
export function firstNonFinite(values: Float32Array): number {
  // 0 * x is NaN for exactly those, and a sum keeps it: one branch a piece instead of one a value.
  let poison = 0;
  for (let i = 0; i < values.length; i += 1) poison += 0 * (values[i] as number);
  return poison === 0 ? -1 : values.findIndex((value) => !Number.isFinite(value));
}

/** Fills `into` from `positionBytes` on; false if the file ends before. */
export async function readExactly(file: FileHandle, into: Buffer, positionBytes: number): Promise<boolean> {
  for (let done = 0; done < into.length; ) {
    const { bytesRead } = await file.read(into, done, into.length - done, positionBytes + done);
    if (bytesRead === 0) return false;
    done += bytesRead;
  }
  return true;
}

/** Writes all of `bytes` at the file's end: `FileHandle.write` may write less than it was given. */
export async function writeFully(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done);
    done += bytesWritten;
  }
}
