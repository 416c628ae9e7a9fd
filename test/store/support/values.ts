/** Small things that tests of stores say often. */
import { createHash } from 'node:crypto';

export function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('there is no value');
  return value;
}
