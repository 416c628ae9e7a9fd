/** Which clients a step consists of. */
import { encodeFields, hex } from '../custody/fields.js';
import { sha256 } from '../package/digests.js';

/** max(1, ceil(percent of clientCount)), and 0 of 0. Both factors are integers below 2^24: the division rounds nothing up. */
export function stepSize(percent: number, clientCount: number): number {
  return Math.min(clientCount, Math.max(1, Math.ceil((percent * clientCount) / 100)));
}

function rank(client: string, adapterFingerprint: string): string {
  const bytes = encodeFields('tensorguard-native v1 rollout order', [
    ['adapter', adapterFingerprint],
    ['client', client],
  ]);
  return hex(sha256(bytes));
}

/**
 * Clients in the order in which they get a release: by a hash of client and adapter, so that each release has other canaries,
 * and every server the same. Steps are prefixes, so that a larger one contains the smaller.
 */
export function rolloutOrder(clients: readonly string[], adapterFingerprint: string): string[] {
  return clients
    .map((client) => ({ client, rank: rank(client, adapterFingerprint) }))
    .sort((a, b) => (a.rank < b.rank ? -1 : 1))
    .map(({ client }) => client);
}
