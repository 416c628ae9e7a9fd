/**
 * The custodian's ledger: what it ever answered for, so that it answers for nothing else.
 *
 * Two answers for two sets of one round that differ by one client are that client's secret. Hence: one plan
 * and one set a round, ever, and no update in two sets. Unique constraints enforce it, in a transaction that
 * is on the disk before any answer is computed; an answer leaves only after it, too, is on the disk, and a
 * retry returns those bytes. A crash in between costs nothing: the claim stands, the same plan and set may
 * be answered (sums of shares are deterministic), another set may not.
 *
 * Entries form a hash chain: head = SHA-256(previous head || row). The chain is public arithmetic, so it
 * finds damage and careless edits; somebody who may write to the file can shorten or rebuild it, and a
 * restored backup is short as well. Against that, every answer carries the head of its claim, the owner's
 * next plan lists the heads that it saw, and a custodian that does not find its own there (`hasHead`) stops.
 */

import { DurableDatabase } from '../durable/durable-database.js';
import { ParameterError, RefusedError } from '../errors.js';
import { hex, requireBytes32, sameBytes } from './fields.js';
import {
  answerRow,
  type Claim,
  claimRow,
  corrupt,
  description,
  type Entry,
  encodedAnswer,
  encodedClaim,
  entryRow,
  GENESIS,
  sha256,
  updateRow,
} from './ledger-rows.js';
import { describeRound, type RoundKey, requireRoundKey } from './round-key.js';

/** A request to open one round. */
export interface AnswerRequest extends RoundKey {
  /** Fingerprint of the round plan, 32 bytes. */
  readonly plan: Uint8Array;
  /** Fingerprint of the accepted set, 32 bytes. */
  readonly set: Uint8Array;
  /** Fingerprints of the updates in the set, 32 bytes each, in any order: at least one, none twice. */
  readonly updates: readonly Uint8Array[];
}

export interface LedgerAnswer {
  readonly answer: Uint8Array;
  /** Whether the answer was stored before this call, or by another process during it. */
  readonly replayed: boolean;
}

/**
 * Creates the empty ledger of a new custodian, whose keys have answered for nothing yet, and opens it.
 *
 * @throws RefusedError `storage.exists` if anything is at `path`; what `openLedger` throws
 */
export async function createLedger(path: string): Promise<Ledger> {
  return new Ledger(await DurableDatabase.create(path, description));
}

/**
 * Opens a ledger and verifies its whole chain. Several processes may have it open at once. A missing ledger
 * is an error, not an empty one: it may be the only record of what was answered.
 *
 * @throws VerificationError `ledger.corrupt`
 * @throws EnvironmentError `storage.missing`, `storage.permissions`, `storage.symlink`, `storage.busy`,
 *   `storage.failed`
 */
export async function openLedger(path: string): Promise<Ledger> {
  const ledger = new Ledger(await DurableDatabase.open(path, description));
  try {
    ledger.verify();
  } catch (error) {
    ledger.close();
    throw error;
  }
  return ledger;
}

export class Ledger {
  /** Use `createLedger` or `openLedger`. */
  constructor(private readonly database: DurableDatabase) {}

  /**
   * Answers for one set of one round, once and for ever.
   *
   * Claims the round for this plan and set, then, unless its answer is stored, calls `makeAnswer` with the
   * head of the claim (32 bytes; the same for every retry), stores what it returns and returns that. If
   * `makeAnswer` throws, the claim stands. When two calls compute an answer at once, both return the one
   * that was stored first. The caller verifies the request *before* calling: a claim cannot be taken back.
   *
   * @throws RefusedError `ledger.round-has-another-plan`, `ledger.round-already-answered` (another set was
   *   claimed, answered or not), `ledger.update-already-used`
   * @throws ParameterError `ledger.bad-request`, `field.*`
   * @throws EnvironmentError `storage.busy`, `storage.failed`
   */
  async answerOnce(
    request: AnswerRequest,
    makeAnswer: (head: Uint8Array) => Promise<Uint8Array>,
  ): Promise<LedgerAnswer> {
    const updates = requireRequest(request);
    const claim = this.claim(request, updates);
    const stored = this.storedAnswer(claim);
    if (stored !== undefined) {
      return { answer: stored, replayed: true };
    }
    const answer = await makeAnswer(this.headOf(claim));
    return this.storeAnswer(claim, answer);
  }

  /**
   * Refuses what {@link answerOnce} would refuse, and changes nothing: before anything is spent on an answer.
   *
   * @throws as {@link answerOnce} does
   */
  requireAnswerable(request: AnswerRequest): void {
    const updates = requireRequest(request);
    this.database.snapshot(() => {
      if (this.claimOf(request) !== undefined) {
        this.earlierClaim(request, updates);
        return;
      }
      for (const update of updates) {
        const sql = 'SELECT fingerprint FROM claimed_update WHERE fingerprint = ?';
        if (this.database.get(updateRow, sql, [update]) !== undefined) {
          throw this.updateAlreadyUsed(request, update);
        }
      }
    });
  }

  /** The answer that was stored for a request, if there is one: asking for it spends nothing. @throws as {@link answerOnce} does */
  answerFor(request: AnswerRequest): Uint8Array | undefined {
    const updates = requireRequest(request);
    return this.database.snapshot(() =>
      this.claimOf(request) === undefined
        ? undefined
        : this.storedAnswer(this.earlierClaim(request, updates)),
    );
  }

  /** The head of the chain, 32 bytes: after the last claim or answer, by this process or another. */
  head(): Uint8Array {
    return this.last().head;
  }

  /**
   * Whether `head` is one of this ledger's, now or at any time before. A head that the owner saw from this
   * custodian and that is not here means that the file was restored or shortened: answer nothing from it.
   */
  hasHead(head: Uint8Array): boolean {
    return (
      sameBytes(head, GENESIS) ||
      this.database.get(entryRow, 'SELECT sequence, head FROM entry WHERE head = ?', [head]) !== undefined
    );
  }

  close(): void {
    this.database.close();
  }

  /** Recomputes the chain. @throws VerificationError `ledger.corrupt` */
  verify(): void {
    this.database.snapshot(() => {
      let head = GENESIS;
      const entries = this.database.all(entryRow, 'SELECT sequence, head FROM entry ORDER BY sequence');
      for (const [index, entry] of entries.entries()) {
        if (entry.sequence !== index + 1) {
          throw corrupt(`entry ${index + 1} is missing`);
        }
        head = sha256(head, this.encodedEntry(entry.sequence));
        if (!sameBytes(head, entry.head)) {
          throw corrupt(`entry ${entry.sequence} was changed`);
        }
      }
    });
  }

  /** Claims the round for this request, or finds the claim that an earlier call for the same left. */
  private claim(request: AnswerRequest, updates: readonly Uint8Array[]): Claim {
    return this.database.transaction(() => {
      const last = this.last();
      const claim: Claim = {
        entry: last.sequence + 1,
        fleet: request.fleet,
        policy: request.policy,
        cohort: request.cohort,
        round: request.round,
        plan: request.plan,
        set_fingerprint: request.set,
      };
      const inserted = this.database.runUnique(
        `INSERT INTO claim (entry, fleet, policy, cohort, round, plan, set_fingerprint)
         VALUES (?, ?, ?, ?, ?, ?, ?)`,
        [
          claim.entry,
          claim.fleet,
          claim.policy,
          claim.cohort,
          claim.round,
          claim.plan,
          claim.set_fingerprint,
        ],
      );
      if (!inserted) {
        return this.earlierClaim(request, updates);
      }
      for (const update of updates) {
        const unused = this.database.runUnique(
          'INSERT INTO claimed_update (fingerprint, claim) VALUES (?, ?)',
          [update, claim.entry],
        );
        if (!unused) {
          throw this.updateAlreadyUsed(request, update);
        }
      }
      this.append(last, encodedClaim(claim, updates));
      return claim;
    });
  }

  private earlierClaim(request: AnswerRequest, updates: readonly Uint8Array[]): Claim {
    const claim = this.claimOf(request);
    if (claim === undefined) {
      throw corrupt('the last entry is missing');
    }
    const round = describeRound(request);
    if (!sameBytes(claim.plan, request.plan)) {
      throw new RefusedError(
        'ledger.round-has-another-plan',
        `For ${round} this custodian is bound to plan ${hex(claim.plan)}, and a round has one plan, ever; ` +
          `plan ${hex(request.plan)} is refused. Start the next round.`,
      );
    }
    // The set's fingerprint should fix the updates; if it ever does not, the updates are what counts.
    const sameUpdates = sameBytes(Buffer.concat(this.updatesOf(claim.entry)), Buffer.concat([...updates]));
    if (!sameBytes(claim.set_fingerprint, request.set) || !sameUpdates) {
      throw new RefusedError(
        'ledger.round-already-answered',
        `For ${round} this custodian is bound to set ${hex(claim.set_fingerprint)}, and a round is opened for ` +
          'one set, ever: two sums that differ by one client give that client away. Ask for that set, or ' +
          'close the round and start the next round.',
      );
    }
    return claim;
  }

  private claimOf({ fleet, policy, cohort, round }: RoundKey): Claim | undefined {
    return this.database.get(
      claimRow,
      'SELECT * FROM claim WHERE fleet = ? AND policy = ? AND cohort = ? AND round = ?',
      [fleet, policy, cohort, round],
    );
  }

  private updateAlreadyUsed(request: RoundKey, update: Uint8Array): RefusedError {
    const earlier = this.database.get(
      claimRow,
      `SELECT claim.* FROM claim JOIN claimed_update ON claimed_update.claim = claim.entry
       WHERE fingerprint = ?`,
      [update],
    );
    const where = earlier === undefined ? 'another round' : describeRound(earlier);
    return new RefusedError(
      'ledger.update-already-used',
      `Update ${hex(update)} is in the set of ${where}, and an update is summed once, ever; ` +
        `${describeRound(request)} cannot have it. Aggregate again without it; its client seals a new update.`,
    );
  }

  private storedAnswer(claim: Claim): Uint8Array | undefined {
    return this.database.get(answerRow, 'SELECT * FROM answer WHERE claim = ?', [claim.entry])?.bytes;
  }

  private storeAnswer(claim: Claim, answer: Uint8Array): LedgerAnswer {
    return this.database.transaction(() => {
      const last = this.last();
      const entry = last.sequence + 1;
      const inserted = this.database.runUnique('INSERT INTO answer (entry, claim, bytes) VALUES (?, ?, ?)', [
        entry,
        claim.entry,
        answer,
      ]);
      if (inserted) {
        this.append(last, encodedAnswer(entry, claim.entry, answer));
        return { answer, replayed: false };
      }
      const stored = this.storedAnswer(claim);
      if (stored === undefined) {
        throw corrupt('the last entry is missing');
      }
      return { answer: stored, replayed: true };
    });
  }

  private append(last: Entry, row: Uint8Array): void {
    this.database.run('INSERT INTO entry (sequence, head) VALUES (?, ?)', [
      last.sequence + 1,
      sha256(last.head, row),
    ]);
  }

  private last(): Entry {
    const sql = 'SELECT sequence, head FROM entry ORDER BY sequence DESC LIMIT 1';
    return this.database.get(entryRow, sql) ?? { sequence: 0, head: GENESIS };
  }

  private headOf(claim: Claim): Uint8Array {
    const sql = 'SELECT sequence, head FROM entry WHERE sequence = ?';
    const entry = this.database.get(entryRow, sql, [claim.entry]);
    if (entry === undefined) {
      throw corrupt(`entry ${claim.entry} is missing`);
    }
    return entry.head;
  }

  private updatesOf(claim: number): Uint8Array[] {
    const sql = 'SELECT fingerprint FROM claimed_update WHERE claim = ? ORDER BY fingerprint';
    return this.database.all(updateRow, sql, [claim]).map((row) => row.fingerprint);
  }

  private encodedEntry(sequence: number): Uint8Array {
    const claim = this.database.get(claimRow, 'SELECT * FROM claim WHERE entry = ?', [sequence]);
    const answer = this.database.get(answerRow, 'SELECT * FROM answer WHERE entry = ?', [sequence]);
    if ((claim === undefined) === (answer === undefined)) {
      throw corrupt(`entry ${sequence} is not exactly one claim or answer`);
    }
    return claim === undefined
      ? encodedAnswer(sequence, answer?.claim ?? 0, answer?.bytes ?? new Uint8Array())
      : encodedClaim(claim, this.updatesOf(sequence));
  }
}

/** Checks a request and returns its updates in ascending order, which makes their order immaterial. */
function requireRequest(request: AnswerRequest): readonly Uint8Array[] {
  requireRoundKey(request);
  requireBytes32('plan', request.plan);
  requireBytes32('set', request.set);
  for (const update of request.updates) {
    requireBytes32('update', update);
  }
  const updates = [...request.updates].sort(Buffer.compare);
  if (updates.length === 0) {
    throw new ParameterError('ledger.bad-request', 'The set is empty: there is nothing to answer for.');
  }
  if (new Set(updates.map(hex)).size !== updates.length) {
    throw new ParameterError('ledger.bad-request', 'An update is twice in the set; list each once.');
  }
  return updates;
}
