/** The updates of a round, as outlier tests want them. */
import { type RoundState, sentUpdates } from '../machine/state.js';
import type { OutlierCandidate } from './outlier-test.js';

export function outlierCandidates(state: RoundState): OutlierCandidate[] {
  return sentUpdates(state).map(({ client, update }) => ({
    client,
    fingerprint: update.fingerprint,
    statistics: { ...update.statistics },
  }));
}
