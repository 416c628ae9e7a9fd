/** Why the client's state refuses, and what to do about it. */
import { EnvironmentError, RefusedError } from '../errors.js';
import type { ClaimRow } from './client-state-rows.js';
import { hex } from './fields.js';
import { describeRound, type RoundKey } from './round-key.js';

/** The delta is claimed for another plan, or averaged. */
export function deltaConsumed(claim: ClaimRow): RefusedError {
  const plan = `${describeRound(claim)}, plan ${hex(claim.plan)}`;
  return new RefusedError(
    'client.delta-consumed',
    claim.state === 'opened'
      ? `This delta is in the average of ${plan}, and a delta is averaged once, ever. Seal the next delta.`
      : `This delta was sealed for ${plan}, and until that round's close record says that it was not opened, ` +
          'it is sealed for no other: two averages that differ by it would give it away. Fetch the close ' +
          'record and record it, or seal the next delta.',
  );
}

/** The plan has another delta of this client. */
export function roundAlreadySealed(claim: ClaimRow): RefusedError {
  return new RefusedError(
    'client.round-already-sealed',
    `This client sealed another delta for ${describeRound(claim)}, and a plan gets one update from each ` +
      'client. Send the update that was sealed; seal this delta under the next plan.',
  );
}

/** The delta was released from this round or a later one. */
export function roundNotLater(earlier: ClaimRow, request: RoundKey): RefusedError {
  return new RefusedError(
    'client.round-not-later',
    `This delta was sealed for ${describeRound(earlier)}; it may be sealed again for a later round only, ` +
      `not for round ${request.round}. Wait for the next plan.`,
  );
}

/** This client was restored, and the state before it had claimed the delta. */
export function deltaSpent(): RefusedError {
  return new RefusedError(
    'client.delta-spent',
    'This delta was sealed before this client was restored from an archive, and may be in an average. Seal what new ' +
      'training gives.',
  );
}

/** This client was restored, and the state before it had sealed something for this round or a later one. */
export function roundSpent(spent: RoundKey, request: RoundKey): RefusedError {
  return new RefusedError(
    'client.round-spent',
    `This client was restored from an archive, and before that it sealed for ${describeRound(spent)}; for round ` +
      `${request.round} it seals nothing. Wait for a later plan.`,
  );
}

export function roundClosed(plan: Uint8Array): RefusedError {
  return new RefusedError(
    'client.round-closed',
    `The round of plan ${hex(plan)} is closed and takes no more updates. Seal under the next plan.`,
  );
}

export function closeConflict(plan: Uint8Array): RefusedError {
  return new RefusedError(
    'client.close-conflict',
    `Another close record of plan ${hex(plan)} was recorded before. A round is closed once: keep both files ` +
      'and show them to the owner.',
  );
}

export function notClaimed(plan: Uint8Array): RefusedError {
  return new RefusedError(
    'client.not-claimed',
    `This delta was not claimed for plan ${hex(plan)}. Claim it before it is encrypted.`,
  );
}

export function updateAlreadyRecorded(update: Uint8Array): RefusedError {
  return new RefusedError(
    'client.update-already-recorded',
    `Update ${hex(update)} was recorded for another plan. Encrypt again under this one.`,
  );
}

/** An update that was recorded is gone from the client's directory. */
export function storedUpdateMissing(path: string, claim: ClaimRow): EnvironmentError {
  return new EnvironmentError(
    'client.stored-update-missing',
    `There is no update at ${path}. It is this client's update for ${describeRound(claim)}, and cannot be made ` +
      "again: put it back, or wait for that round's close record.",
  );
}

/** An update is to be recorded that was not written. */
export function updateNotWritten(path: string, cause: unknown): EnvironmentError {
  return new EnvironmentError(
    'client.update-not-written',
    `There is no update at ${path}. An update is written there before it is recorded.`,
    { cause },
  );
}
