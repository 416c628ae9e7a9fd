/**
 * Summing sealed sets, one after the other: any process that shares the store may do it, under a lease. One that dies leaves
 * nothing but its lease; what two have summed is the same set.
 */
import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { TrustedPlan } from '../../custody/trusted-plan.js';
import { EnvironmentError, RefusedError, TensorGuardError } from '../../errors.js';
import { hex } from '../../package/messages/common.js';
import { oneLine } from '../../package/one-line.js';
import { openContainer } from '../../package/reader.js';
import { aggregateUpdates } from '../../round/aggregate.js';
import { hasEnded } from '../../round/machine/phases.js';
import { type RoundState, sentUpdates } from '../../round/machine/state.js';
import { type Flagged, judgedEvent, judgeRound } from '../../round/outliers/judge-round.js';
import type { OutlierTest } from '../../round/outliers/outlier-test.js';
import type { Store, Task } from '../../store/store.js';
import { type StoredFile, StoredFileSource, storeStream } from '../files/stored-file.js';
import type { ServedFleet } from '../fleet/fleet.js';
import { type Summed, type SummedUpdate, summedUpdate } from '../telemetry/round-records.js';
import { type RoundService, SUM_QUEUE } from './round-service.js';
import { sealedFiles } from './sealed-files.js';
import { keepFileRecord } from './stored-round.js';
import type { SumDirectories } from './sum-directories.js';
import type { UpdateIntake } from './update-intake.js';

const MAX_REASON_CHARACTERS = 2048;

export interface SumWorkerOptions {
  readonly store: Store;
  readonly rounds: RoundService;
  readonly intake: UpdateIntake;
  readonly fleet: ServedFleet;
  /** The plan of a round, verified. */
  readonly planOf: (plan: string) => Promise<TrustedPlan>;
  readonly directories: SumDirectories;
  readonly leaseMs: number;
  /** What looks at each sealed set before it is summed. */
  readonly outlierTests: readonly OutlierTest[];
  /** Takes what a test flags, with the values that it went by. */
  readonly onOutliers?: (plan: string, flagged: readonly Flagged[]) => void;
  readonly onError: (error: unknown) => void;
  /** After each sum, with what the headers of the updates in it say. */
  readonly onSummed?: (summed: Summed) => void;
}

/** Names this worker among those of other processes. */
export function workerName(): string {
  return `w-${process.pid}-${randomBytes(6).toString('hex')}`;
}

/** From giving a sum up to its end: one read of the store, and one write. */
const GIVE_UP_MS = 5_000;

export class SumWorker {
  readonly #options: SumWorkerOptions;
  readonly #name = workerName();
  readonly #stop = new AbortController();
  readonly #givingUp = new AbortController();
  #done: Promise<void> | undefined;

  constructor(options: SumWorkerOptions) {
    this.#options = options;
  }

  start(): void {
    this.#done ??= this.#run();
  }

  /**
   * Takes no further sum, and waits for the one that is being made: for `graceMs`, then it is given up, which another worker
   * hears at once.
   */
  async stop(graceMs: number): Promise<void> {
    this.#stop.abort();
    const timer = setTimeout(() => this.#givingUp.abort(), graceMs);
    // A store that does not answer holds up nobody: the lease ends by itself.
    await Promise.race([this.#done, delay(graceMs + GIVE_UP_MS, undefined, { ref: false })]);
    clearTimeout(timer);
  }

  #requireTime(): void {
    if (!this.#givingUp.signal.aborted) return;
    throw new EnvironmentError('server.closing', 'The server is shutting down; the sum is made elsewhere.');
  }

  async #run(): Promise<void> {
    const { store, leaseMs, onError } = this.#options;
    while (!this.#stop.signal.aborted) {
      try {
        const task = await store.queue.take(SUM_QUEUE, { leaseMs, signal: this.#stop.signal });
        // The store is closed, and would say so again without a pause.
        if (task === undefined) return;
        await this.#work(task);
      } catch (error) {
        onError(error);
        await new Promise((resolve) => setTimeout(resolve, 1000));
      }
    }
  }

  async #work(task: Task): Promise<void> {
    const { rounds, leaseMs, onError } = this.#options;
    const [plan = ''] = task.id.split('.');
    const state = await rounds.read(plan);
    if (state?.sum === undefined || state.aggregate !== undefined || hasEnded(state.phase)) {
      await task.done();
      return;
    }
    const { attempt } = state.sum;
    const claim = (): Promise<RoundState> =>
      rounds.send(plan, { type: 'sum-claimed', worker: this.#name, attempt, atMs: Date.now() });
    try {
      await claim();
    } catch (error) {
      // Another worker has it; should that one die, time offers the next attempt, with a task of its own.
      if (!(error instanceof RefusedError)) throw error;
      await task.done();
      return;
    }
    const alive = setInterval(() => {
      Promise.all([task.extend(), claim()]).catch(onError);
    }, leaseMs / 3);
    try {
      await this.#sum(plan, state, attempt);
    } finally {
      clearInterval(alive);
    }
    await task.done();
  }

  async #sum(plan: string, state: RoundState, attempt: number): Promise<void> {
    const { rounds, store, intake, fleet, planOf, directories, onSummed } = this.#options;
    const started = performance.now();
    const directory = await directories.make();
    const failures: EnvironmentError[] = [];
    const headers = new Map<string, SummedUpdate>();
    try {
      const out = join(directory, 'aggregate.tga');
      const trusted = await planOf(plan);
      const judged = await this.#judged(plan, state);
      const { fingerprint } = await aggregateUpdates({
        plan: trusted,
        policy: fleet.policy,
        aggregatorId: fleet.aggregatorId,
        signing: fleet.signing,
        updates: sealedFiles(judged, {
          ...{ plan, store, intake, failures },
          onRead: (update, envelope) => headers.set(update, summedUpdate(envelope)),
          requireTime: () => this.#requireTime(),
        }),
        out,
      });
      // An update that could not be read for the time being was left out, and its client did nothing wrong.
      if (failures[0] !== undefined) throw failures[0];
      const file = await storeStream(store.blobs, createReadStream(out, { highWaterMark: 1 << 20 }));
      const record = { fingerprint: hex(fingerprint), file, atMs: Date.now() };
      // Where a worker that was taken for dead was first, its aggregate counts, with the set that it holds.
      const kept = await keepFileRecord(store.state, record, 'aggregate', plan);
      const { accepted, refused } = await this.#contentOf(kept.file, state);
      await rounds.send(plan, {
        type: 'sum-finished',
        worker: this.#name,
        aggregate: kept.fingerprint,
        accepted,
        refused,
        atMs: Date.now(),
      });
      onSummed?.({
        ...{ plan, trusted, milliseconds: performance.now() - started },
        // Where another worker's aggregate counts, an update of it may be one that this worker did not read.
        updates: accepted.flatMap((fingerprint) => headers.get(fingerprint) ?? []),
      });
    } catch (caught) {
      // Too few updates, where some could not be read, is the machine's failure as well.
      const error = failures[0] ?? caught;
      if (!(error instanceof TensorGuardError)) throw error;
      await rounds.send(plan, {
        type: 'sum-failed',
        worker: this.#name,
        attempt,
        code: error.code,
        reason: oneLine(error.message, MAX_REASON_CHARACTERS),
        // What the updates are does not change; what this machine lacks another may have.
        retryable: !(error instanceof RefusedError),
        atMs: Date.now(),
      });
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }

  /** The round once outlier tests have looked at its set: they are asked once, whoever sums. */
  async #judged(plan: string, state: RoundState): Promise<RoundState> {
    const { rounds, fleet, outlierTests, onOutliers } = this.#options;
    const { reportedOutliers: action } = fleet.policy.safety;
    if (state.outliers !== undefined || action === 'ignore') return state;
    const flagged = await judgeRound(state, outlierTests);
    if (flagged.length > 0) onOutliers?.(plan, flagged);
    return rounds.send(plan, judgedEvent(flagged, action, Date.now()));
  }

  /** Which updates an aggregate holds, and which it leaves out and why. */
  async #contentOf(file: StoredFile, state: RoundState) {
    const container = await openContainer(new StoredFileSource(this.#options.store.blobs, file), 'aggregate');
    await container.close();
    const { accepted, refused } = container.body;
    return {
      accepted: accepted.map(({ update }) => hex(update)),
      refused: refused.flatMap(({ update, source, code, message }) => {
        const why = { code, reason: message };
        if (update !== undefined) return [{ fingerprint: hex(update), ...why }];
        const inPartialSum = sentUpdates(state).filter((sent) => sent.update.via?.partialSum === source);
        const fingerprints = inPartialSum.map((sent) => sent.update.fingerprint);
        return (fingerprints.length > 0 ? fingerprints : [source]).map((fingerprint) => ({
          fingerprint,
          ...why,
        }));
      }),
    };
  }
}
