/** What people are shown of a key store. */
import { createHash } from 'node:crypto';
import { openBreakGlasses } from '../custody/keys/break-glass.js';
import type { KeyRecord, KeyStore } from '../custody/keys/key-store.js';

/** Enough of a digest to compare by eye. */
const SHOWN_CHARACTERS = 16;

export function keyDocument(key: KeyRecord): Record<string, unknown> {
  const { name, purpose, epoch, state, publicKey, createdMs, wrapperId, recoverable } = key;
  return {
    name,
    purpose,
    epoch: epoch ?? null,
    state,
    created: new Date(createdMs).toISOString(),
    wrapper: wrapperId,
    recoverable,
    publicKeyDigest: publicKey === undefined ? null : digestOf(publicKey),
  };
}

export function keyLine(key: KeyRecord): string {
  const { name, state, createdMs, wrapperId, recoverable, publicKey } = key;
  const parts = [
    name.padEnd(10),
    state.padEnd(15),
    new Date(createdMs).toISOString(),
    wrapperId,
    ...(recoverable ? ['recoverable by officers'] : []),
    ...(publicKey === undefined ? [] : [digestOf(publicKey).slice(0, SHOWN_CHARACTERS)]),
  ];
  return parts.join('  ');
}

/** One line for each use of break-glass that no officer has closed. */
export function breakGlassLines(store: KeyStore): string[] {
  return openBreakGlasses(store).map(
    ({ entry, key, round, reason }) =>
      `BREAK-GLASS OPEN: entry ${entry}, key "${key}", ${round}: ${reason}. An officer closes it: "keys break-glass close".`,
  );
}

function digestOf(publicKey: Uint8Array): string {
  return createHash('sha256').update(publicKey).digest('hex');
}
