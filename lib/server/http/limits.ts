/** What one caller may take of the server. */
export interface ServerLimits {
  /** Of a body whose route sets no `bodyLimit` of its own. */
  readonly maxBodyBytes: number;
  /** All headers of a request together; Node answers 431. */
  readonly maxHeaderBytes: number;
  /** For the headers to arrive, however slowly they trickle. */
  readonly headersTimeoutMs: number;
  /** For the whole request to arrive: the slowest upload that is worth waiting for. */
  readonly requestTimeoutMs: number;
  /** Without a byte in either direction. Event streams send something more often. */
  readonly idleTimeoutMs: number;
  /** Between two requests of one connection. */
  readonly keepAliveTimeoutMs: number;
  /** How often Node looks for connections that are late. */
  readonly timeoutCheckIntervalMs: number;
  readonly maxRequestsPerConnection: number;
  readonly maxConnections: number;
  /** From one address (an IPv6 /64), before anybody is authenticated: many robots may share one. */
  readonly requestsPerMinutePerAddress: number;
  /** Of one authenticated caller. */
  readonly requestsPerMinutePerActor: number;
  /** Callers whose rates are remembered. */
  readonly maxTrackedCallers: number;
  /** Live event streams of one authenticated caller: a machine needs one, a person has some pages open. */
  readonly maxEventStreamsPerActor: number;
  /** Of all callers: connections have to be left for uploads. Whoever gets none polls. */
  readonly maxEventStreams: number;
}

export const DEFAULT_LIMITS: ServerLimits = {
  maxBodyBytes: 1 << 20,
  maxHeaderBytes: 8 << 10,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 600_000,
  idleTimeoutMs: 60_000,
  keepAliveTimeoutMs: 20_000,
  timeoutCheckIntervalMs: 2_000,
  maxRequestsPerConnection: 1000,
  maxConnections: 4096,
  requestsPerMinutePerAddress: 6000,
  requestsPerMinutePerActor: 1200,
  maxTrackedCallers: 65_536,
  maxEventStreamsPerActor: 8,
  maxEventStreams: 3072,
};
