/**
 * One connection to NATS, and how an operation lives through an outage: it is tried again until its time is over, then
 * fails with `store.unavailable`. Nothing counts as done that a server did not acknowledge.
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import type { Authenticator, NatsConnection } from '@nats-io/transport-node';
import { requirePrivateFile } from '../../durable/private-files.js';
import { EnvironmentError, TensorGuardError } from '../../errors.js';
import type { JetStreamConfig } from './config.js';
import type { NatsPackages } from './packages.js';

/** An operation has several attempts in its time. */
const ATTEMPTS = 5;
const MIN_ATTEMPT_TIMEOUT_MS = 250;
const PAUSE_MS = 100;
const CLOSE_TIMEOUT_MS = 1_000;
/** A server says so while it starts, stops or elects a leader. */
const SERVICE_UNAVAILABLE = 503;
/** Whether a write was stored is not known yet. */
export class UndecidedError extends Error {
  override readonly name = 'UndecidedError';
}

const TRANSIENT_ERRORS = new Set([
  'UndecidedError',
  'TimeoutError',
  'NoResponders',
  'ConnectionError',
  'JetStreamNotEnabled',
]);

export class JetStreamConnection {
  readonly client: JetStreamClient;

  private constructor(
    readonly packages: NatsPackages,
    readonly config: JetStreamConfig,
    readonly connection: NatsConnection,
    readonly manager: JetStreamManager,
    readonly attemptTimeoutMs: number,
  ) {
    this.client = packages.jetstream.jetstream(connection, { timeout: attemptTimeoutMs });
  }

  /** @throws EnvironmentError `store.unavailable`, `store.failed`, `storage.permissions`, `storage.symlink` */
  static async open(config: JetStreamConfig, packages: NatsPackages): Promise<JetStreamConnection> {
    const authenticator = await authenticatorOf(config, packages);
    const attemptTimeoutMs = Math.max(MIN_ATTEMPT_TIMEOUT_MS, config.operationTimeoutMs / ATTEMPTS);
    return persist('connect', config.operationTimeoutMs, async () => {
      const connection = await packages.transport.connect({
        servers: config.servers,
        name: config.prefix,
        timeout: attemptTimeoutMs,
        maxReconnectAttempts: -1,
        reconnectTimeWait: 250,
        // Else a server that answers a reconnection with an error ends the connection for good.
        ignoreAuthErrorAbort: true,
        ...(authenticator && { authenticator }),
        ...(config.tls && { tls: definedOnly(config.tls) }),
      });
      try {
        const manager = await packages.jetstream.jetstreamManager(connection, {
          timeout: attemptTimeoutMs,
          checkAPI: false,
        });
        return new JetStreamConnection(packages, config, connection, manager, attemptTimeoutMs);
      } catch (error) {
        await connection.close();
        throw error;
      }
    });
  }

  /**
   * Tries `attempt` until it succeeds, fails for good, or the time is over. `attempt` may have been carried out although
   * it failed, since the reply may be what was lost: it must bear repetition.
   *
   * @throws EnvironmentError `store.unavailable`, `store.failed`
   */
  persist<T>(what: string, attempt: () => Promise<T>): Promise<T> {
    return persist(what, this.config.operationTimeoutMs, attempt);
  }

  /** Calls `listener` whenever the connection is lost or made again, until the function that this returns is called. */
  onInterruption(listener: () => void): () => void {
    const statuses = this.connection.status();
    void (async () => {
      for await (const status of statuses) {
        if (status.type === 'disconnect' || status.type === 'reconnect') listener();
      }
    })();
    return () => stopStatuses(statuses);
  }

  async close(): Promise<void> {
    // Sends what is buffered, if somebody is there to take it.
    await Promise.race([this.connection.flush().catch(() => undefined), delay(CLOSE_TIMEOUT_MS)]);
    await this.connection.close();
  }
}

/** The code of the error that JetStream answered with, if it did. */
export function apiErrorCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || error.name !== 'JetStreamApiError') return undefined;
  const code: unknown = Reflect.get(error, 'code');
  return typeof code === 'number' ? code : undefined;
}

export function isTransient(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return (
    TRANSIENT_ERRORS.has(error.name) ||
    Reflect.get(error, 'status') === SERVICE_UNAVAILABLE ||
    // A request's error is its cause: no responders, a timeout.
    (error.name === 'RequestError' && isTransient(error.cause)) ||
    // What Node says while nothing listens there.
    /^E(CONN|HOST|NET|PIPE|TIMEDOUT|AI_AGAIN)/.test(String(Reflect.get(error, 'code')))
  );
}

async function persist<T>(what: string, timeoutMs: number, attempt: () => Promise<T>): Promise<T> {
  for (const deadline = performance.now() + timeoutMs; ; ) {
    try {
      return await attempt();
    } catch (error) {
      if (error instanceof TensorGuardError) throw error;
      if (!isTransient(error)) throw failed(what, error);
      if (performance.now() + PAUSE_MS > deadline) throw unavailable(what, timeoutMs, error);
    }
    await delay(PAUSE_MS);
  }
}

async function authenticatorOf(
  { credentials }: JetStreamConfig,
  { transport }: NatsPackages,
): Promise<Authenticator | undefined> {
  if (credentials.kind === 'none') return undefined;
  let bytes: Uint8Array;
  try {
    await requirePrivateFile(credentials.path);
    bytes = await readFile(credentials.path);
  } catch (error) {
    if (error instanceof TensorGuardError) throw error;
    throw new EnvironmentError(
      'store.credentials',
      `The NATS credentials ${credentials.path} cannot be read; see the cause.`,
      { cause: error },
    );
  }
  // The client keeps them for reconnections, so there is nothing to wipe.
  return credentials.kind === 'creds-file'
    ? transport.credsAuthenticator(bytes)
    : transport.nkeyAuthenticator(new TextEncoder().encode(Buffer.from(bytes).toString('utf8').trim()));
}

function unavailable(what: string, timeoutMs: number, cause: unknown): EnvironmentError {
  return new EnvironmentError(
    'store.unavailable',
    `NATS JetStream did not ${what} within ${timeoutMs} ms. Whether it was carried out is unknown; trying again is safe. ` +
      'Check that nats-server runs with -js, and that enough replicas are up.',
    { cause },
  );
}

/** The error for what trying again will not mend. */
export function failed(what: string, cause: unknown): EnvironmentError {
  return new EnvironmentError(
    'store.failed',
    `NATS JetStream refused to ${what}: ${cause instanceof Error ? cause.message : 'unknown error'}. ` +
      'Check the permissions of this user and the limits of the account.',
    { cause },
  );
}

function definedOnly<T extends object>(options: T): { [K in keyof T]: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: NonNullable<T[K]>;
  };
}

function stopStatuses(statuses: AsyncIterable<unknown>): void {
  if ('stop' in statuses && typeof statuses.stop === 'function') statuses.stop();
}
