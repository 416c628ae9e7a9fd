/** What agents ask of the service. Files are what containers are: whoever gets one verifies it. */

import type { CustodyStatus } from '../../observability/custody-status.js';
import type { OpeningReport } from '../../observability/opening-report.js';
import type { RobotReport } from '../../observability/robot-report.js';
import type { HalfCohort, WorkItem } from './work-items.js';

export type UploadState = 'incomplete' | 'complete' | 'received' | 'accepted' | 'left-out' | 'replaced';

export interface UploadProgress {
  readonly state: UploadState;
  /** Numbers of chunks that have not arrived. */
  readonly missing: readonly number[];
  readonly code?: string | undefined;
  readonly reason?: string | undefined;
}

export interface RoundSummary {
  readonly plan: string;
  readonly policy: string;
  readonly cohort: string;
  readonly round: number;
}

/** Plans and fingerprints are 64 hexadecimal digits. All calls may be repeated. */
export interface FleetApi {
  work(): Promise<readonly WorkItem[]>;
  /** The newest roster; undefined where there is none, or where it is the one with the fingerprint `known`. */
  roster(known: string): Promise<Uint8Array | undefined>;
  putRoster(file: Uint8Array): Promise<void>;
  enrol(enrolment: Uint8Array): Promise<void>;

  plan(plan: string): Promise<Uint8Array>;
  putPlan(plan: string, file: Uint8Array): Promise<void>;
  putCohort(cohort: string, half: HalfCohort): Promise<void>;
  /** The latest ones, the newest first. */
  rounds(): Promise<readonly RoundSummary[]>;

  /** What is known of an upload; undefined where nothing is. */
  uploadProgress(plan: string, update: string): Promise<UploadProgress | undefined>;
  /** Sends a whole update, once: where the connection breaks, what has arrived need not be sent again. */
  putUpdate(plan: string, update: string, path: string): Promise<UploadProgress>;
  putEnvelope(plan: string, update: string, envelope: Uint8Array): Promise<UploadProgress>;
  putChunk(plan: string, update: string, chunk: number, bytes: Uint8Array): Promise<void>;
  completeUpload(plan: string, update: string): Promise<UploadProgress>;
  /** Writes the update's file to `out`. */
  downloadUpdate(plan: string, update: string, out: string): Promise<void>;

  /** Sends a whole partial sum. The same one again is fine. */
  putPartialSum(plan: string, partialSum: string, path: string): Promise<void>;
  downloadPartialSum(plan: string, partialSum: string, out: string): Promise<void>;

  downloadAggregate(plan: string, out: string): Promise<void>;
  putAnswer(plan: string, custodian: string, answer: Uint8Array): Promise<void>;
  refuseAnswer(plan: string, custodian: string, code: string, reason: string): Promise<void>;
  answer(plan: string, custodian: string): Promise<Uint8Array>;
  /** The close record; undefined where there is none. */
  close(plan: string): Promise<Uint8Array | undefined>;
  putClose(plan: string, record: Uint8Array): Promise<void>;
  putOpening(plan: string, report: OpeningReport): Promise<void>;

  putReport(report: RobotReport): Promise<void>;
  putCustodyStatus(custodian: string, status: CustodyStatus): Promise<void>;

  /**
   * Writes the newest release to `out`.
   *
   * @param known fingerprint of the one that the caller has
   * @returns false where there is none, or where it is that one
   */
  downloadRelease(policy: string | undefined, known: string | undefined, out: string): Promise<boolean>;
  putRelease(counter: number, path: string): Promise<void>;
  putVerdict(fingerprint: string, file: Uint8Array): Promise<void>;
  /** Starts the rollout of a release, with what the policy says of canaries and steps. */
  startRollout(counter: number): Promise<void>;
}
