/** What looks at the updates of a round for those that do not fit the others. */
import type { SafetyStatistics } from '../../package/messages/update.js';

/** What is known of an update without opening it. */
export interface OutlierCandidate {
  readonly client: string;
  /** Of the update, 64 lower-case hexadecimal digits. */
  readonly fingerprint: string;
  /** What the client says about itself. */
  readonly statistics: Readonly<SafetyStatistics>;
}

export interface OutlierVerdict {
  readonly client: string;
  readonly fingerprint: string;
  readonly flagged: boolean;
  /** What was judged, and above what it is flagged; absent where there was nothing to judge, or to judge it by. */
  readonly value?: number;
  readonly limit?: number;
}

/**
 * A rule on the candidates of one round. Asynchronous, since one that looks at verified sketches asks custodians for
 * them; pure arithmetic answers at once.
 */
export interface OutlierTest {
  readonly name: string;
  /** Why an update is flagged, for everybody: without its values, which are its client's. At most 96 plain characters. */
  readonly reason: string;
  /** @returns a verdict for each candidate, in their order */
  judge(candidates: readonly OutlierCandidate[]): Promise<readonly OutlierVerdict[]>;
}
