/**
 * The client's record of the deltas that it has sealed: one delta, one average.
 *
 * Two averages that differ by one client's delta are that delta. So a delta belongs to one plan until the
 * owner's close record of that plan says that it was not opened, and for ever if it was. Per plan a client
 * seals one delta, and a retry gives the same file, byte for byte.
 *
 * The order, in which a crash at any point releases nothing twice:
 *
 *   1. `claim`: the delta belongs to the plan; on the disk.
 *   2. encrypt, under a fresh secret.
 *   3. write the update to `sealedPath(fingerprint)`, with `writeFileAtomically`.
 *   4. `recordSealed`: this file is the update of the plan; on the disk.
 *   5. only now copy out, or upload, the file that `recordSealed` returned.
 *
 * Until step 4 nobody has seen an update, so a crash before it leaves a claim under which the same plan may
 * be sealed again. When two processes seal at once, `recordSealed` gives both the file of the first.
 */
import { createHash } from 'node:crypto';
import { lstat, open, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DurableDatabase } from '../durable/durable-database.js';
import { createPrivateDirectory } from '../durable/private-files.js';
import { ParameterError } from '../errors.js';
import { syncDirectory } from '../files.js';
import {
  closeConflict,
  deltaConsumed,
  deltaSpent,
  notClaimed,
  roundAlreadySealed,
  roundClosed,
  roundNotLater,
  roundSpent,
  storedUpdateMissing,
  updateAlreadyRecorded,
  updateNotWritten,
} from './client-refusals.js';
import {
  type ClaimRow,
  claimRow,
  closeRow,
  deltaRow,
  description,
  firstRoundRow,
  roundRow,
} from './client-state-rows.js';
import { encodeFields, hex, requireBytes32, sameBytes } from './fields.js';
import { describeRound, type RoundKey, requireRoundKey, sameRound } from './round-key.js';

const UPDATE_NAME = /^([0-9a-f]{64})\.tgu$/;
const TEMPORARY_NAME = /^\..*\.tmp$/;
const ABANDONED_AFTER_MS = 3_600_000;

/** A wish to seal a delta under a plan. */
export interface SealRequest extends RoundKey {
  /** HMAC-SHA256 of the delta under the client's PRF key, 32 bytes: the record does not tell what it was. */
  readonly deltaDigest: Uint8Array;
  /** Fingerprint of the round plan, 32 bytes. */
  readonly plan: Uint8Array;
  /**
   * Whether the error-feedback residual of the policy is to be sent with it. It is granted where no other open round has
   * it: two averages that contain one residual, and differ by it, are that residual.
   */
  readonly residual?: boolean;
}

/** The one update that a client has for a plan. */
export interface StoredUpdate {
  /** Path of the file in the client's directory. */
  readonly stored: string;
  /** The update's fingerprint, 32 bytes. */
  readonly update: Uint8Array;
}

/** An update that was encrypted under a claim: 32 bytes each. */
export interface SealedUpdate {
  readonly deltaDigest: Uint8Array;
  /** Fingerprint of the round plan. */
  readonly plan: Uint8Array;
  /** Fingerprint of the update. */
  readonly update: Uint8Array;
}

/** What counts of an owner's close record. */
export interface CloseRecord {
  /** Fingerprint of the round plan, 32 bytes. */
  readonly plan: Uint8Array;
  /** Fingerprints, 32 bytes each, of the updates in the average; none if the round was not opened. */
  readonly opened: readonly Uint8Array[];
}

/** What a close record means for this client; the same however often the record is recorded. */
export type CloseOutcome =
  /** Its update is in the average: the delta is spent, the error-feedback residual may be committed. */
  | { readonly outcome: 'opened'; readonly deltaDigest: Uint8Array; readonly update: Uint8Array }
  /** It is not: the delta may be sealed for a later round, from the previous residual. */
  | { readonly outcome: 'not-opened'; readonly deltaDigest: Uint8Array }
  /** This client had sealed nothing for the plan. */
  | { readonly outcome: 'absent' };

/**
 * Creates the state of a new client in `directory`: `client-state.sqlite`, and `sealed/` for the updates.
 *
 * @throws RefusedError `storage.exists` if there is one; what `openClientState` throws
 */
export async function createClientState(directory: string): Promise<ClientState> {
  return withUpdates(directory, await DurableDatabase.create(databasePath(directory), description));
}

/**
 * Opens the state in `directory`. A missing one is an error, not an empty one: it may be the only record of
 * what was sealed.
 *
 * @throws VerificationError `client.state-corrupt`
 * @throws EnvironmentError `storage.missing`, `storage.permissions`, `storage.symlink`, `storage.busy`,
 *   `storage.failed`
 */
export async function openClientState(directory: string): Promise<ClientState> {
  return withUpdates(directory, await DurableDatabase.open(databasePath(directory), description));
}

/**
 * What outlives the loss of a client's state: which deltas it claimed, and the newest round of each cohort that it claimed
 * one for.
 */
export interface ClientMemory {
  /** HMAC-SHA256 of each delta under the client's PRF key, 32 bytes. */
  readonly deltas: readonly Uint8Array[];
  readonly rounds: readonly RoundKey[];
}

/**
 * Creates the state of a client that was restored: every delta that it remembers is spent, whatever became of it, and it
 * seals nothing up to the rounds that it remembers. What was sealed after the memory was taken it cannot know: only new
 * training is safe to seal.
 *
 * @throws RefusedError `storage.exists`; ParameterError `field.*`; what `openClientState` throws
 */
export async function createRestoredClientState(
  directory: string,
  memories: readonly ClientMemory[],
): Promise<ClientState> {
  const database = await DurableDatabase.create(databasePath(directory), description);
  try {
    database.transaction(() => {
      for (const memory of memories) remember(database, memory);
    });
  } catch (error) {
    database.close();
    throw error;
  }
  return withUpdates(directory, database);
}

function remember(database: DurableDatabase, { deltas, rounds }: ClientMemory): void {
  for (const delta of deltas) {
    requireBytes32('delta digest', delta);
    database.run('INSERT OR IGNORE INTO spent_delta (delta) VALUES (?)', [delta]);
  }
  for (const round of rounds) {
    requireRoundKey(round);
    database.run(
      `INSERT INTO spent_round (fleet, policy, cohort, round) VALUES (?, ?, ?, ?)
       ON CONFLICT (fleet, policy, cohort) DO UPDATE SET round = MAX(round, excluded.round)`,
      [round.fleet, round.policy, round.cohort, round.round],
    );
  }
}

function databasePath(directory: string): string {
  return join(directory, 'client-state.sqlite');
}

async function withUpdates(directory: string, database: DurableDatabase): Promise<ClientState> {
  const sealedDirectory = join(directory, 'sealed');
  try {
    await createPrivateDirectory(sealedDirectory);
    const state = new ClientState(database, sealedDirectory);
    await state.removeLeftOvers();
    return state;
  } catch (error) {
    database.close();
    throw error;
  }
}

export class ClientState {
  /** Use `createClientState` or `openClientState`. */
  constructor(
    private readonly database: DurableDatabase,
    private readonly sealedDirectory: string,
  ) {}

  /** Where the update with this fingerprint (32 bytes) is written before it is recorded. */
  sealedPath(update: Uint8Array): string {
    requireBytes32('update', update);
    return join(this.sealedDirectory, `${hex(update)}.tgu`);
  }

  /**
   * The update that was sealed from this delta under this plan, if it was: a retry may have it until the round is closed.
   *
   * @throws EnvironmentError `client.stored-update-missing`
   * @throws RefusedError `client.round-closed`
   */
  async storedUpdate(plan: Uint8Array, deltaDigest: Uint8Array): Promise<StoredUpdate | undefined> {
    requireBytes32('plan', plan);
    requireBytes32('delta digest', deltaDigest);
    const claim = this.claimOfPlan(plan);
    if (claim?.update_fingerprint == null || !sameBytes(claim.delta, deltaDigest)) return undefined;
    if (claim.state === 'released') throw roundClosed(plan);
    return this.requireStored(claim, claim.update_fingerprint);
  }

  /**
   * Claims a delta for a plan; on the disk when this returns.
   *
   * @returns 'new' if the caller may encrypt, or the update that was already sealed from this delta under
   *   this plan, which must be sent as it is
   * @throws RefusedError `client.delta-consumed` (the delta belongs to another plan),
   *   `client.round-already-sealed` (the plan has another delta of this client), `client.round-closed`,
   *   `client.round-not-later` (the delta was in this round or a later one before), `client.delta-spent` and
   *   `client.round-spent` (before this client was restored)
   * @throws EnvironmentError `client.stored-update-missing`, `storage.*`
   * @throws ParameterError `client.bad-request` (the plan was claimed as another round's), `field.*`
   */
  async claim(request: SealRequest): Promise<'new' | StoredUpdate> {
    requireRoundKey(request);
    requireBytes32('delta digest', request.deltaDigest);
    requireBytes32('plan', request.plan);
    const claim = this.database.transaction(() => this.claimInTransaction(request));
    return claim === 'new' || claim.update_fingerprint === null
      ? 'new'
      : this.requireStored(claim, claim.update_fingerprint);
  }

  /**
   * How many rounds late a delta (its digest, 32 bytes) is for this one: since the first round of the same fleet, policy
   * and cohort that it was claimed for. 0 for a delta that was claimed for none before.
   */
  roundsLate(round: RoundKey, deltaDigest: Uint8Array): number {
    requireRoundKey(round);
    requireBytes32('delta digest', deltaDigest);
    const first = this.database.get(
      firstRoundRow,
      `SELECT MIN(round) AS round FROM claim
       WHERE delta = ? AND fleet = ? AND policy = ? AND cohort = ? AND round <= ?`,
      [deltaDigest, round.fleet, round.policy, round.cohort, round.round],
    )?.round;
    return round.round - (first ?? round.round);
  }

  /** Whether the claim of this plan was granted the residual. */
  holdsResidual(plan: Uint8Array): boolean {
    requireBytes32('plan', plan);
    return this.claimOfPlan(plan)?.residual === 1;
  }

  /** What became of a recorded update (32 bytes); undefined where none with this fingerprint was recorded. */
  updateState(update: Uint8Array): 'held' | 'opened' | 'released' | undefined {
    requireBytes32('update', update);
    return this.claimOfUpdate(update)?.state;
  }

  /**
   * Records the update that was encrypted under a claim and written to `sealedPath(update)`; on the disk,
   * with the file, when this returns.
   *
   * @returns the update of the plan, which is the only one to be copied out: another one if another process
   *   recorded it first (the file of this one is then removed)
   * @throws RefusedError `client.not-claimed`, `client.round-closed` (the round was closed meanwhile)
   * @throws EnvironmentError `client.update-not-written` if no file is at `sealedPath(update)`,
   *   `client.stored-update-missing`
   * @throws ParameterError `field.*`
   */
  async recordSealed(sealed: SealedUpdate): Promise<StoredUpdate> {
    requireBytes32('delta digest', sealed.deltaDigest);
    requireBytes32('plan', sealed.plan);
    const path = this.sealedPath(sealed.update);
    await syncUpdate(path);
    const { claim, update } = this.database.transaction(() => this.recordInTransaction(sealed));
    if (sameBytes(update, sealed.update)) {
      return { stored: path, update };
    }
    // Never the file of another plan's update, however wrong the caller is.
    if (this.claimOfUpdate(sealed.update) === undefined) {
      await rm(path, { force: true });
    }
    return this.requireStored(claim, update);
  }

  /**
   * Records the owner's close record of a plan, whose signature the caller has verified; on the disk when
   * this returns. A plan that is closed takes no more deltas, and the file of its update goes: nobody will ask for it.
   *
   * @throws RefusedError `client.close-conflict` if another close record of the plan was recorded before
   * @throws ParameterError `field.*`
   */
  async recordClose(close: CloseRecord): Promise<CloseOutcome> {
    requireBytes32('plan', close.plan);
    for (const update of close.opened) {
      requireBytes32('opened update', update);
    }
    const outcome = this.database.transaction(() => this.closeInTransaction(close));
    // Only now: an update that is still to be closed is the only copy.
    const update = this.claimOfPlan(close.plan)?.update_fingerprint ?? undefined;
    if (update !== undefined) await rm(this.sealedPath(update), { force: true });
    return outcome;
  }

  /** What a crash left in `sealed/`: files of rounds that were closed, and old ones that no claim ever recorded. */
  async removeLeftOvers(): Promise<void> {
    for (const name of await readdir(this.sealedDirectory)) {
      const path = join(this.sealedDirectory, name);
      const digits = UPDATE_NAME.exec(name)?.[1];
      const claim = digits === undefined ? undefined : this.claimOfUpdate(Buffer.from(digits, 'hex'));
      const isClosed = claim !== undefined && claim.state !== 'held';
      const isUnrecorded = claim === undefined && (digits !== undefined || TEMPORARY_NAME.test(name));
      if (isClosed || (isUnrecorded && (await isAbandoned(path)))) await rm(path, { force: true });
    }
  }

  private closeInTransaction(close: CloseRecord): CloseOutcome {
    this.insertClose(close);
    const claim = this.claimOfPlan(close.plan);
    if (claim === undefined) {
      return { outcome: 'absent' };
    }
    const update = claim.update_fingerprint;
    if (update !== null && close.opened.some((opened) => sameBytes(opened, update))) {
      this.setState(claim, 'opened');
      return { outcome: 'opened', deltaDigest: claim.delta, update };
    }
    this.setState(claim, 'released');
    return { outcome: 'not-opened', deltaDigest: claim.delta };
  }

  /** What a restored client has to know of this state. */
  memory(): ClientMemory {
    return this.database.snapshot(() => ({
      deltas: this.database
        .all(deltaRow, 'SELECT delta FROM claim UNION SELECT delta FROM spent_delta ORDER BY delta')
        .map(({ delta }) => delta),
      rounds: this.database.all(
        roundRow,
        `SELECT fleet, policy, cohort, MAX(round) AS round FROM (
           SELECT fleet, policy, cohort, round FROM claim
           UNION ALL SELECT fleet, policy, cohort, round FROM spent_round)
         GROUP BY fleet, policy, cohort ORDER BY fleet, policy, cohort`,
      ),
    }));
  }

  close(): void {
    this.database.close();
  }

  private claimInTransaction(request: SealRequest): 'new' | ClaimRow {
    if (this.closeOf(request.plan) !== undefined) {
      return this.claimOfClosedPlan(request);
    }
    this.requireLaterRound(request);
    this.requireUnspent(request);
    const inserted = this.database.runUnique(
      `INSERT INTO claim (plan, delta, fleet, policy, cohort, round, state, residual)
       VALUES (?, ?, ?, ?, ?, ?, 'held', ? AND NOT EXISTS (
         SELECT 1 FROM claim WHERE residual = 1 AND state = 'held' AND fleet = ? AND policy = ?))`,
      [
        request.plan,
        request.deltaDigest,
        request.fleet,
        request.policy,
        request.cohort,
        request.round,
        request.residual === true ? 1 : 0,
        request.fleet,
        request.policy,
      ],
    );
    if (inserted) {
      return 'new';
    }
    const claim = this.claimOfPlan(request.plan);
    if (claim === undefined) {
      throw deltaConsumed(this.unreleasedClaim(request.deltaDigest));
    }
    if (!sameRound(claim, request)) {
      throw new ParameterError(
        'client.bad-request',
        `Plan ${hex(request.plan)} is of ${describeRound(claim)}, not of ${describeRound(request)}.`,
      );
    }
    if (!sameBytes(claim.delta, request.deltaDigest)) {
      throw roundAlreadySealed(claim);
    }
    return claim;
  }

  /** A retry gets the update that is in the average; everything else comes too late. */
  private claimOfClosedPlan(request: SealRequest): ClaimRow {
    const claim = this.claimOfPlan(request.plan);
    if (claim?.state === 'opened' && sameBytes(claim.delta, request.deltaDigest)) {
      return claim;
    }
    throw roundClosed(request.plan);
  }

  private requireLaterRound(request: SealRequest): void {
    const earlier = this.database.get(
      claimRow,
      `SELECT * FROM claim
       WHERE delta = ? AND state = 'released' AND fleet = ? AND policy = ? AND cohort = ? AND round >= ?`,
      [request.deltaDigest, request.fleet, request.policy, request.cohort, request.round],
    );
    if (earlier !== undefined) {
      throw roundNotLater(earlier, request);
    }
  }

  /** After a restore: nothing that the state before it may have sealed. */
  private requireUnspent(request: SealRequest): void {
    const sql = 'SELECT delta FROM spent_delta WHERE delta = ?';
    if (this.database.get(deltaRow, sql, [request.deltaDigest]) !== undefined) throw deltaSpent();
    const spent = this.database.get(
      roundRow,
      'SELECT * FROM spent_round WHERE fleet = ? AND policy = ? AND cohort = ? AND round >= ?',
      [request.fleet, request.policy, request.cohort, request.round],
    );
    if (spent !== undefined) throw roundSpent(spent, request);
  }

  private recordInTransaction(sealed: SealedUpdate): { claim: ClaimRow; update: Uint8Array } {
    const claim = this.claimOfPlan(sealed.plan);
    if (claim === undefined || !sameBytes(claim.delta, sealed.deltaDigest)) {
      throw notClaimed(sealed.plan);
    }
    if (claim.state === 'released') {
      throw roundClosed(sealed.plan);
    }
    if (claim.update_fingerprint !== null) {
      return { claim, update: claim.update_fingerprint };
    }
    const recorded = this.database.runUnique('UPDATE claim SET update_fingerprint = ? WHERE plan = ?', [
      sealed.update,
      sealed.plan,
    ]);
    if (!recorded) {
      throw updateAlreadyRecorded(sealed.update);
    }
    return { claim, update: sealed.update };
  }

  private insertClose(close: CloseRecord): void {
    const fields = [...close.opened].sort(Buffer.compare).map((update) => ['opened', update] as const);
    const digest = createHash('sha256').update(encodeFields('tensorguard-native v1 close', fields)).digest();
    const inserted = this.database.runUnique('INSERT INTO close_record (plan, opened_digest) VALUES (?, ?)', [
      close.plan,
      digest,
    ]);
    const recorded = this.closeOf(close.plan);
    if (!inserted && (recorded === undefined || !sameBytes(recorded, digest))) {
      throw closeConflict(close.plan);
    }
  }

  private setState(claim: ClaimRow, state: 'opened' | 'released'): void {
    this.database.run('UPDATE claim SET state = ? WHERE plan = ?', [state, claim.plan]);
  }

  /** The digest of the plan's close record, if it was recorded. */
  private closeOf(plan: Uint8Array): Uint8Array | undefined {
    return this.database.get(closeRow, 'SELECT * FROM close_record WHERE plan = ?', [plan])?.opened_digest;
  }

  private claimOfPlan(plan: Uint8Array): ClaimRow | undefined {
    return this.database.get(claimRow, 'SELECT * FROM claim WHERE plan = ?', [plan]);
  }

  private claimOfUpdate(update: Uint8Array): ClaimRow | undefined {
    return this.database.get(claimRow, 'SELECT * FROM claim WHERE update_fingerprint = ?', [update]);
  }

  private unreleasedClaim(deltaDigest: Uint8Array): ClaimRow {
    const sql = `SELECT * FROM claim WHERE delta = ? AND state <> 'released'`;
    const claim = this.database.get(claimRow, sql, [deltaDigest]);
    if (claim === undefined) {
      throw description.corrupt('a unique index disagrees with its table');
    }
    return claim;
  }

  private async requireStored(claim: ClaimRow, update: Uint8Array): Promise<StoredUpdate> {
    const stored = this.sealedPath(update);
    if (!(await isFile(stored))) {
      if (claim.state !== 'held') throw roundClosed(claim.plan);
      throw storedUpdateMissing(stored, claim);
    }
    return { stored, update };
  }
}

/** Flushes the file and its name: nothing is recorded that a power cut could take away again. */
async function syncUpdate(path: string): Promise<void> {
  const file = await open(path, 'r').catch((error: unknown) => {
    throw updateNotWritten(path, error);
  });
  try {
    await file.sync();
  } finally {
    await file.close();
  }
  await syncDirectory(dirname(path));
}

/** Whether a file is so old that no seal is about to record it any more. */
async function isAbandoned(path: string): Promise<boolean> {
  try {
    return Date.now() - (await lstat(path)).mtimeMs >= ABANDONED_AFTER_MS;
  } catch {
    return false;
  }
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isFile();
  } catch {
    return false;
  }
}
