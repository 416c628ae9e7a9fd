/** The aggregation service, put together: a store, a fleet, rounds, a worker, and the HTTP server in front of them. */
import { RefusedError } from '../errors.js';
import { JsonlWriter } from '../observability/jsonl-writer.js';
import { type MetricsExport, metricsExportFrom } from '../observability/otlp/otlp-metrics.js';
import type { Environment } from '../observability/otlp/otlp-settings.js';
import { tracingFrom } from '../observability/otlp/otlp-tracing.js';
import type { Policy } from '../policy/policy.js';
import { reportedStatisticTest } from '../round/outliers/reported-statistic.js';
import { pause } from '../store/lifetime.js';
import { openStore, type StoreOptions } from '../store/open-store.js';
import type { RetentionPolicy } from '../store/retention.js';
import { StoredTokens } from './auth/stored-tokens.js';
import { BearerTokens } from './auth/tokens.js';
import { planOf, type ServerContext } from './context.js';
import { readAll } from './files/bodies.js';
import { readStored, storeBytes } from './files/stored-file.js';
import { ServedFleet } from './fleet/fleet.js';
import { type AppOptions, createApp } from './http/app.js';
import type { App } from './http/app-type.js';
import { DEFAULT_LIMITS } from './http/limits.js';
import { DEFAULT_SHUTDOWN_MS, shutDown } from './http/shutdown.js';
import type { ReleaseMode } from './releases/offers.js';
import { LastReports } from './reports/last-reports.js';
import { rolloutParts } from './rollouts/rollout-parts.js';
import { HealthBook } from './rounds/health-book.js';
import { collectGarbage, DEFAULT_RETENTION } from './rounds/retention.js';
import { RoundIndex } from './rounds/round-index.js';
import { RoundService } from './rounds/round-service.js';
import { DEFAULT_ROUND_CONFIG, type RoundConfig } from './rounds/round-settings.js';
import { fileRecordSchema } from './rounds/stored-round.js';
import { SumDirectories } from './rounds/sum-directories.js';
import { SumWorker } from './rounds/sum-worker.js';
import { UpdateIntake } from './rounds/update-intake.js';
import { CALLER_ACCESS, registerCallerRoutes } from './routes/caller.js';
import { CLIENT_ACCESS, registerClientRoutes } from './routes/clients.js';
import { CUSTODY_ACCESS, registerCustodyRoutes } from './routes/custody.js';
import { EVENT_ACCESS, registerEventRoutes } from './routes/events.js';
import { FLEET_ACCESS, registerFleetRoutes } from './routes/fleet.js';
import { HEALTH_ACCESS, type ReadinessCheck, registerHealthRoutes } from './routes/health.js';
import { METRICS_ACCESS, registerMetricsRoutes } from './routes/metrics.js';
import { OPENING_ACCESS, registerOpeningRoutes } from './routes/opening.js';
import { PAGE_ACCESS, registerPageRoutes, type ServedPage } from './routes/page.js';
import { PARTIAL_SUM_ACCESS, registerPartialSumRoutes } from './routes/partial-sums.js';
import { RECORD_ACCESS, registerRecordRoutes } from './routes/records.js';
import { RELEASE_HEADER_ACCESS, registerReleaseHeaderRoutes } from './routes/release-headers.js';
import { RELEASE_ACCESS, registerReleaseRoutes } from './routes/releases.js';
import { REPORT_ACCESS, registerReportRoutes } from './routes/reports.js';
import { ROLLOUT_ACCESS, registerRolloutRoutes } from './routes/rollouts.js';
import { ROUND_ACCESS, registerRoundRoutes } from './routes/rounds.js';
import { registerSchemaRoutes, SCHEMA_ACCESS } from './routes/schemas.js';
import { registerUpdateRoutes, UPDATE_ACCESS } from './routes/updates.js';
import { registerVerdictFindingsRoutes, VERDICT_FINDINGS_ACCESS } from './routes/verdict-findings.js';
import { registerVerdictRoutes, VERDICT_ACCESS } from './routes/verdicts.js';
import { registerWorkRoutes, WORK_ACCESS } from './routes/work.js';
import { changeJson, decodeJson } from './state/json-state.js';
import { ROSTER_KEY, ROSTER_PREFIX } from './state/keys.js';
import { fleetState } from './telemetry/fleet-state.js';
import { Telemetry } from './telemetry/telemetry.js';

export interface ServiceOptions extends Omit<AppOptions, 'access' | 'directory' | 'tokens'> {
  readonly store: StoreOptions;
  /** The aggregator's directory. */
  readonly aggregator: string;
  readonly policy: Policy;
  readonly rounds?: Partial<RoundConfig>;
  readonly retention?: RetentionPolicy;
  /** Directory for records as JSONL; none are written where it is absent. */
  readonly recordsDirectory?: string | undefined;
  /** False: neither records nor metrics are taken of what happens; for measuring what that costs. */
  readonly observing?: boolean;
  /** Of which the `OTEL_*` variables are read; nothing is sent where it is absent. */
  readonly environment?: Environment;
  /** The dashboard, at `/`; absent: none is served. */
  readonly page?: ServedPage | undefined;
  readonly releases?: ReleaseMode | undefined;
  readonly host: string;
  readonly port: number;
}

/** Every route, and who may use it: what is not here, nobody may. */
export const SERVICE_ACCESS = {
  ...HEALTH_ACCESS,
  ...PAGE_ACCESS,
  ...CALLER_ACCESS,
  ...FLEET_ACCESS,
  ...ROUND_ACCESS,
  ...UPDATE_ACCESS,
  ...PARTIAL_SUM_ACCESS,
  ...OPENING_ACCESS,
  ...RELEASE_ACCESS,
  ...RELEASE_HEADER_ACCESS,
  ...WORK_ACCESS,
  ...EVENT_ACCESS,
  ...REPORT_ACCESS,
  ...CLIENT_ACCESS,
  ...RECORD_ACCESS,
  ...CUSTODY_ACCESS,
  ...METRICS_ACCESS,
  ...SCHEMA_ACCESS,
  ...VERDICT_ACCESS,
  ...VERDICT_FINDINGS_ACCESS,
  ...ROLLOUT_ACCESS,
};

/** Several servers may sweep at once; it does no harm. */
const SWEEP_INTERVAL_MS = 3_600_000;
/** How long a deadline may wait that another server had a timer for before it died. */
const RESUME_INTERVAL_MS = 15_000;
const ROSTER_RETRY_MS = 1_000;

export class Service {
  readonly app: App;
  readonly context: ServerContext;
  readonly #worker: SumWorker;
  readonly #watching = new AbortController();
  #following: Promise<void> | undefined;
  #sweeping: NodeJS.Timeout | undefined;
  #resuming: NodeJS.Timeout | undefined;

  private constructor(
    app: App,
    context: ServerContext,
    worker: SumWorker,
    private readonly metricsExport: MetricsExport | undefined,
  ) {
    this.app = app;
    this.context = context;
    this.#worker = worker;
  }

  /** Starts the service. It serves as soon as this resolves. @throws as `openStore`, `openRole` and `createApp` do */
  static async start(options: ServiceOptions): Promise<Service> {
    const {
      store: storeOptions,
      aggregator,
      policy,
      rounds: config,
      retention,
      recordsDirectory,
      environment = {},
      observing = true,
      page,
      releases: releaseMode,
      host,
      port,
      ...appOptions
    } = options;
    const fleet = await ServedFleet.open({ directory: aggregator, policy });
    const store = await openStore(storeOptions);
    let started: Service | undefined;
    try {
      const roundConfig = { ...DEFAULT_ROUND_CONFIG, ...config };
      const tokens = new BearerTokens(new StoredTokens(store.state));
      const app = await createApp({ ...appOptions, access: SERVICE_ACCESS, directory: fleet.keys, tokens });
      const onError = (error: unknown): void => app.log.error({ err: error }, 'in the background');
      const health = new HealthBook(store.state);
      const { version } = appOptions;
      const tracing = await tracingFrom(environment, { role: 'aggregator', version });
      const telemetry = new Telemetry({ state: store.state, version, onError, tracing });
      if (recordsDirectory !== undefined) {
        const onDropped = (count: number): void => telemetry.dropped('jsonl', count);
        telemetry.recorder.add(await JsonlWriter.open({ directory: recordsDirectory, onDropped, onError }));
      }
      const rounds = new RoundService({
        store,
        onError,
        ...(observing && {
          onChange: (plan, before, after) => telemetry.roundChanged(plan, before, after),
        }),
        onEffect: async (plan, { settings: { key } }, effect) => {
          if (effect.type === 'record-health')
            await health.record({ plan, ...key, observations: effect.observations });
        },
      });
      const intake = new UpdateIntake(store, policy);
      const index = new RoundIndex(store.state, (plan) => rounds.load(plan));
      const reports = new LastReports(store.state);
      const directories = await SumDirectories.of(aggregator);
      await directories.removeLeftovers();
      const parts = rolloutParts({
        ...{ store, fleet, onError, mode: releaseMode },
        onChange: (before, after) => telemetry.rolloutChanged(before, after),
        onAlert: (policyName, alert) => {
          app.log.warn({ policy: policyName, ...alert }, 'rollout alert');
          telemetry.rolloutAlert(policyName, alert);
        },
      });
      const context: ServerContext = {
        ...{ store, fleet, rounds, index, intake, health, reports, telemetry, roundConfig, ...parts },
      };
      const worker = new SumWorker({
        store,
        rounds,
        intake,
        fleet,
        planOf: (plan) => planOf(context, plan),
        directories,
        leaseMs: roundConfig.sumLeaseMs,
        outlierTests: [reportedStatisticTest()],
        onOutliers: (plan, flagged) => app.log.warn({ plan, flagged }, 'outliers'),
        onError,
        onSummed: (summed) => {
          const { plan, updates, milliseconds } = summed;
          app.log.info({ plan, updates: updates.length, milliseconds }, 'summed');
          if (observing) telemetry.summed(summed);
        },
      });
      app.addHook('onResponse', async ({ actor, method, routeOptions }, { statusCode, elapsedTime }) => {
        if (!observing) return;
        if (actor?.role === 'client') telemetry.lastSeen.note(actor.id);
        const route = routeOptions.url ?? 'none';
        telemetry.metrics.request({ method, route, status: statusCode, seconds: elapsedTime / 1000 });
      });
      registerHealthRoutes(app, [storeCheck(store)]);
      registerPageRoutes(app, page);
      registerCallerRoutes(app, context);
      registerFleetRoutes(app, context);
      registerRoundRoutes(app, context);
      registerUpdateRoutes(app, context);
      registerPartialSumRoutes(app, context);
      registerOpeningRoutes(app, context);
      registerReleaseRoutes(app, context);
      registerWorkRoutes(app, context);
      registerEventRoutes(app, context, { ...DEFAULT_LIMITS, ...appOptions.limits });
      registerReportRoutes(app, context);
      registerClientRoutes(app, context);
      registerRecordRoutes(app, context);
      registerCustodyRoutes(app, context);
      registerMetricsRoutes(app, context);
      registerSchemaRoutes(app);
      registerVerdictRoutes(app, context);
      registerVerdictFindingsRoutes(app, context);
      registerReleaseHeaderRoutes(app, context);
      registerRolloutRoutes(app, context);
      const { metrics } = telemetry;
      const metricsExport = await metricsExportFrom(
        environment,
        { role: 'aggregator', version },
        metrics.registry,
        async () => metrics.set(await fleetState(context, Date.now())),
      );
      const service = new Service(app, context, worker, metricsExport);
      started = service;
      await service.#shareRoster();
      service.#followRoster(onError);
      telemetry.start();
      await rounds.resume();
      await context.rollouts.resume();
      worker.start();
      service.#collect(retention ?? DEFAULT_RETENTION, onError);
      service.#resume(onError);
      await app.listen({ host, port });
      return service;
    } catch (error) {
      if (started === undefined) await store.close();
      else await started.stop();
      throw error;
    }
  }

  /** Where it listens: `http://127.0.0.1:8080`. */
  get address(): string {
    const address = this.app.server.address();
    if (address === null || typeof address === 'string') throw new TypeError('it does not listen');
    const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
    return `http://${host}:${address.port}`;
  }

  /** Stops taking requests, finishes what was begun, and closes the store. @returns whether everything ended by itself */
  async stop(limitMs = DEFAULT_SHUTDOWN_MS): Promise<boolean> {
    const [finished] = await Promise.all([shutDown(this.app, limitMs), this.#worker.stop(limitMs)]);
    this.#watching.abort();
    // A roster that is being taken is on the disk before this process says that it has ended.
    await this.#following;
    clearInterval(this.#sweeping);
    clearInterval(this.#resuming);
    await this.context.rounds.close();
    await this.metricsExport?.close();
    await this.context.telemetry.close();
    await this.context.rollouts.close();
    await this.context.store.close();
    return finished;
  }

  /** What this aggregator's directory holds is there for everybody, unless the store has a newer one. */
  async #shareRoster(): Promise<void> {
    const { store, fleet } = this.context;
    const own = await fleet.rosterFile();
    const file = [...(await storeBytes(store.blobs, own))];
    const { fingerprint } = fleet.roster;
    const record = { fingerprint: Buffer.from(fingerprint).toString('hex'), file, atMs: Date.now() };
    const stored = await changeJson(store.state, fileRecordSchema, ROSTER_KEY, (present) =>
      present === undefined ? record : undefined,
    );
    if (stored === undefined || stored.fingerprint === record.fingerprint) return;
    await this.#takeRoster(stored.file).catch(async (error: unknown) => {
      if (!(error instanceof RefusedError) || error.code !== 'roster.older') throw error;
      // Ours is the newer one.
      await changeJson(store.state, fileRecordSchema, ROSTER_KEY, () => record);
    });
  }

  async #takeRoster(file: Parameters<typeof readStored>[1]): Promise<void> {
    const { store, fleet } = this.context;
    await fleet.accept(await readAll(readStored(store.blobs, file), 64 << 20));
  }

  #collect(retention: RetentionPolicy, onError: (error: unknown) => void): void {
    this.#sweeping = setInterval(() => {
      collectGarbage(this.context, retention)
        .then((report) => this.app.log.info(report, 'collected garbage'))
        .catch(onError);
    }, SWEEP_INTERVAL_MS);
    this.#sweeping.unref();
  }

  #resume(onError: (error: unknown) => void): void {
    this.#resuming = setInterval(() => {
      this.context.rounds.resume().catch(onError);
      this.context.rollouts.resume().catch(onError);
    }, RESUME_INTERVAL_MS);
    this.#resuming.unref();
  }

  /** Another server of this store may take the next roster: whom that revokes, this one must not go on trusting. */
  #followRoster(onError: (error: unknown) => void): void {
    const { signal } = this.#watching;
    const { state } = this.context.store;
    this.#following = (async () => {
      while (!signal.aborted) {
        try {
          for await (const { value } of state.watch(ROSTER_PREFIX, { signal })) {
            if (value !== undefined) await this.#followTo(value, onError);
          }
        } catch (error) {
          // The store is away, or a blob is: from the newest roster on again.
          onError(error);
        }
        await pause(ROSTER_RETRY_MS, [signal]);
      }
    })();
  }

  /** A roster that is refused will not be a better one later: the next is waited for. */
  async #followTo(value: Uint8Array, onError: (error: unknown) => void): Promise<void> {
    try {
      await this.#takeRoster(decodeJson(fileRecordSchema, ROSTER_KEY, value).file);
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      onError(error);
    }
  }
}

/** Whether what rounds are kept in can be reached. */
function storeCheck({ state }: ServerContext['store']): ReadinessCheck {
  return {
    name: 'store',
    missing: async () => {
      const roster = await state.get(ROSTER_KEY);
      return roster === undefined ? 'The store has no roster. Start the server again.' : undefined;
    },
  };
}
