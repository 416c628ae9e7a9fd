/**
 * What runs at a custodian: it answers for each round's one set, says why where it does not, and moves to new keys in time.
 *
 * Whether to answer is the custodian's ledger's to say. A refusal by it is final for the set: asking again is what an attacker
 * would do.
 */
import { EnvironmentError, TensorGuardError } from '../../errors.js';
import { NO_TRACING, type RoundTracing, traced } from '../../observability/tracing.js';
import { oneLine } from '../../package/one-line.js';
import type { RolePolicyOptions } from '../../round/role-policy.js';
import type { AgentDirectory } from '../agent-directory.js';
import type { AgentLog } from '../agent-log.js';
import type { FleetApi } from '../api/fleet-api.js';
import { type ItemOf, itemsOf } from '../api/work-items.js';
import { attemptItem } from '../items.js';
import type { RetrySchedule } from '../retry-schedule.js';
import type { RosterSync } from '../roster-sync.js';
import { answerFor } from './answering.js';
import { rotateIfDue } from './key-rotation.js';
import { custodyStatus } from './status-report.js';

export interface CustodianAgentOptions {
  readonly custodianDirectory: string;
  readonly custodian: string;
  readonly rolePolicy?: RolePolicyOptions;
  /** Whether keys are rotated when they are due. */
  readonly rotate?: boolean;
}

export interface CustodianAgentDependencies {
  readonly api: Pick<
    FleetApi,
    'work' | 'plan' | 'downloadAggregate' | 'putAnswer' | 'refuseAnswer' | 'enrol' | 'putCustodyStatus'
  >;
  readonly directory: AgentDirectory;
  readonly roster: Pick<RosterSync, 'sync'>;
  readonly log: AgentLog;
  readonly retries: RetrySchedule;
  readonly tracing?: RoundTracing;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/** Areas of codes that no later attempt changes: the ledger's word, and the custodian's own checks of the set. */
const FINAL_AREAS: readonly string[] = ['ledger', 'custodian'];
/** How often a key that waits for the owner is asked for again: the request may have been lost with a server's store. */
const ENROL_AGAIN_MS = 6 * 3_600_000;
const ROTATION_CHECK_MS = 600_000;
/** Whoever watches takes a custodian for silent after an hour. */
const STATUS_INTERVAL_MS = 600_000;
const MAX_REASON_CHARACTERS = 2048;

export class CustodianAgent {
  #enrolled: { readonly key: string; readonly atMs: number } | undefined;
  #rotationCheckedMs = Number.NEGATIVE_INFINITY;
  #statusSentMs = Number.NEGATIVE_INFINITY;
  readonly #now: () => number;

  constructor(
    private readonly options: CustodianAgentOptions,
    private readonly with_: CustodianAgentDependencies,
  ) {
    this.#now = with_.now ?? Date.now;
  }

  /** @throws failures of the connection */
  async step(): Promise<void> {
    const items = await this.with_.api.work();
    // First: whom a newer roster revoked is refused from now on, in rounds that began before as well.
    await this.with_.roster.sync();
    for (const item of itemsOf(items, 'answer')) await this.#answer(item);
    if (this.options.rotate !== false) await this.#rotate();
    await this.#reportStatus();
  }

  async #answer(item: ItemOf<'answer'>): Promise<void> {
    const { api, directory, log } = this.with_;
    const { custodianDirectory, custodian } = this.options;
    const { plan, set } = item;
    const key = `answer ${plan} ${set}`;
    await attemptItem(
      this.with_,
      { key, event: 'custodian.not-answered', fields: { plan, set } },
      async () => {
        const { tracing = NO_TRACING } = this.with_;
        const verdict = await traced(tracing, { plan, name: 'answer', attributes: { custodian } }, () =>
          answerFor(item, custodianDirectory, api, directory),
        );
        if ('answer' in verdict) {
          const { answer, replayed, contributors } = verdict.answer;
          await api.putAnswer(plan, custodian, answer);
          // The trail has a new head.
          this.#statusSentMs = Number.NEGATIVE_INFINITY;
          log.write('info', 'custodian.answered', { plan, set, contributors, replayed });
          return undefined;
        }
        const { refusal } = verdict;
        if (isOwnRefusal(refusal)) {
          const reason = oneLine(refusal.message, MAX_REASON_CHARACTERS);
          await api.refuseAnswer(plan, custodian, refusal.code, reason);
          if (FINAL_AREAS.includes(refusal.code.split('.', 1)[0] ?? '')) {
            log.write('error', 'custodian.refused', { plan, set, code: refusal.code, message: reason });
            return 'final';
          }
        }
        throw refusal;
      },
    );
  }

  async #rotate(): Promise<void> {
    const { api, log } = this.with_;
    const nowMs = this.#now();
    if (nowMs - this.#rotationCheckedMs < ROTATION_CHECK_MS) return;
    this.#rotationCheckedMs = nowMs;
    await attemptItem(this.with_, { key: 'rotate', event: 'custodian.not-rotated' }, async () => {
      const { custodianDirectory, rolePolicy = {} } = this.options;
      const rotated = await rotateIfDue(custodianDirectory, rolePolicy, nowMs);
      if (rotated === undefined) return;
      const { key, made, enrolment } = rotated;
      if (this.#enrolled?.key === key && nowMs - this.#enrolled.atMs < ENROL_AGAIN_MS) return;
      await api.enrol(enrolment);
      this.#enrolled = { key, atMs: nowMs };
      log.write('info', 'custodian.enrolment-sent', { key, made });
    });
  }

  async #reportStatus(): Promise<void> {
    const nowMs = this.#now();
    if (nowMs - this.#statusSentMs < STATUS_INTERVAL_MS) return;
    await attemptItem(this.with_, { key: 'status', event: 'custodian.status-not-sent' }, async () => {
      const { custodianDirectory, custodian, rolePolicy = {} } = this.options;
      await this.with_.api.putCustodyStatus(
        custodian,
        await custodyStatus(custodianDirectory, rolePolicy, nowMs),
      );
      this.#statusSentMs = nowMs;
    });
  }
}

/** What this machine lacks (a disk, an HSM) is no word about the set. */
function isOwnRefusal(error: unknown): error is TensorGuardError {
  return error instanceof TensorGuardError && !(error instanceof EnvironmentError);
}
