/** Doing one of the things that there are to do: what fails of it is its own affair, and tried again later. */
import { type AgentLog, errorFields, type LogFields } from './agent-log.js';
import { isConnectionFailure } from './failures.js';
import type { RetrySchedule } from './retry-schedule.js';

export interface ItemAttempt {
  /** Names it for the schedule. */
  readonly key: string;
  /** For the log, where it fails. */
  readonly event: string;
  readonly fields?: LogFields;
}

/**
 * Runs `work` if it is due.
 *
 * @param work resolves to `final` where this process shall not try it again
 * @returns whether it ran and succeeded
 * @throws failures of the connection: with these, nothing else would succeed either
 */
export async function attemptItem(
  { log, retries }: { readonly log: AgentLog; readonly retries: RetrySchedule },
  { key, event, fields }: ItemAttempt,
  work: () => Promise<unknown>,
): Promise<boolean> {
  if (!retries.isDue(key)) return false;
  try {
    if ((await work()) === 'final') retries.never(key);
    else retries.succeeded(key);
    return true;
  } catch (error) {
    if (isConnectionFailure(error)) throw error;
    const retryInMs = retries.failed(key);
    log.write('warn', event, { ...fields, ...errorFields(error), retryInMs });
    return false;
  }
}
