/** What all agents are made of: the role's signing key, the lock, the connection, the loop. */

import type { Role } from '../custody/keys/key-rows.js';
import { openRole } from '../custody/role-directory.js';
import { NO_TRACING, type RoundTracing } from '../observability/tracing.js';
import { AgentDirectory } from './agent-directory.js';
import { type AgentLog, errorFields } from './agent-log.js';
import { AgentLoop } from './agent-loop.js';
import { HttpFleetApi } from './api/http-fleet-api.js';
import { watchEvents } from './event-watcher.js';
import type { BackoffOptions } from './http/backoff.js';
import { RetrySchedule } from './retry-schedule.js';
import { RosterSync } from './roster-sync.js';
import { Shutdown } from './shutdown.js';

export interface AgentRunOptions {
  /** Such as `https://fleet.example.com`. */
  readonly server: string;
  /** The role's. */
  readonly roleDirectory: string;
  readonly role: Role;
  readonly log: AgentLog;
  readonly shutdown?: Shutdown;
  readonly pollMs?: number;
  /** Look at once when the service says that something has changed. */
  readonly events?: boolean;
  readonly wakeSpreadMs?: number;
  readonly backoff?: Partial<BackoffOptions>;
  readonly tracing?: RoundTracing;
}

export interface AgentContext {
  /** Of the role. */
  readonly id: string;
  readonly api: HttpFleetApi;
  readonly directory: AgentDirectory;
  readonly roster: RosterSync;
  readonly log: AgentLog;
  readonly retries: RetrySchedule;
  readonly tracing: RoundTracing;
}

/** A connection that is down for days must not hold up what needs none: the loop waits, not the request. */
const BACKOFF: Partial<BackoffOptions> = { maxAttempts: 3, maxDelayMs: 5_000 };

/**
 * Runs an agent until `shutdown`.
 *
 * @param prepare makes what the loop runs
 * @throws EnvironmentError `storage.busy` where another agent runs in the directory; what `openRole` throws
 */
export async function runAgent(
  options: AgentRunOptions,
  prepare: (context: AgentContext) => Promise<{ step(): Promise<void> }>,
): Promise<void> {
  const { roleDirectory, role: roleName, server, log, shutdown = new Shutdown() } = options;
  const role = await openRole(roleDirectory, roleName);
  // The signing key stays in memory, to sign requests; every other key is unlocked when it is needed.
  role.close();
  const api = new HttpFleetApi({
    baseUrl: server,
    key: role.signing,
    backoff: { ...BACKOFF, ...options.backoff },
    signal: shutdown.aborting,
    onRetry: ({ attempt, error, waitMs }) =>
      log.write('info', 'agent.retry', { attempt, ...errorFields(error), waitMs: Math.round(waitMs) }),
  });
  await AgentDirectory.use(roleDirectory, async (directory) => {
    const roster = new RosterSync({ api, directory: roleDirectory, log });
    const retries = new RetrySchedule();
    const { tracing = NO_TRACING } = options;
    const agent = await prepare({ id: role.id, api, directory, roster, log, retries, tracing });
    const { pollMs, wakeSpreadMs, events = true } = options;
    const loop = new AgentLoop({
      step: () => agent.step(),
      log,
      stopping: shutdown.stopping,
      ...(pollMs !== undefined && { pollMs }),
      ...(wakeSpreadMs !== undefined && { wakeSpreadMs }),
    });
    log.write('info', 'agent.started', { role: roleName, id: role.id, server });
    const watching = events
      ? watchEvents({
          open: (signal) => api.events(signal),
          onEvent: () => loop.wake(),
          stopping: shutdown.stopping,
        })
      : Promise.resolve();
    await loop.run();
    await watching;
    await tracing.close();
    log.write('info', 'agent.stopped', { role: roleName, id: role.id });
  });
}
