/** Paths that several views read. */
import type { RecordKind } from './reported.js';

export const CLIENTS_PATH = '/v1/clients';
export const CUSTODY_PATH = '/v1/custody';
export const ROUNDS_PATH = '/v1/rounds';

/** The newest records of a kind, as many as views show. */
export function recordsPath(kind: RecordKind, limit: number): string {
  return `/v1/records?kind=${kind}&limit=${limit}`;
}

export const RELEASES_PATH = '/v1/releases';
export const ROLLOUTS_PATH = '/v1/rollouts';

export function findingsPath(verdict: string): string {
  return `/v1/verdicts/${verdict}/findings`;
}
