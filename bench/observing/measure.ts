/** Rounds at two servers, one of which observes what it does. */

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { SignedClient } from '../../lib/agents/http/signed-client.js';
import { EnvironmentError } from '../../lib/errors.js';
import { readJsonlRecords } from '../../lib/observability/jsonl-reader.js';
import { StoredTokens } from '../../lib/server/auth/stored-tokens.js';
import { BearerTokens } from '../../lib/server/auth/tokens.js';
import { openStore } from '../../lib/store/open-store.js';
import { type Spread, spread } from '../measure.js';
import { type PlannedRound, SoakFleet } from '../soak/fleet.js';
import { type SealedUpdate, sealUpdates } from '../soak/sealed-updates.js';
import { ServerProcess } from '../soak/server-process.js';

export interface ObservingOptions {
  readonly directory: string;
  readonly robots: number;
  readonly values: number;
  /** Of each server. */
  readonly rounds: number;
  readonly progress: (line: string) => void;
}

interface ServerFigures {
  /** From the first upload's beginning to the aggregate. */
  readonly updatesPerSecond: Spread;
  /** Of the server's process. */
  readonly processorMs: Spread;
}

export interface ObservingFigures {
  readonly robots: number;
  readonly updateBytes: number;
  readonly rounds: number;
  readonly without: ServerFigures;
  readonly observed: ServerFigures;
  /** Of the same round at both servers: throughput, and processor time. */
  readonly wallRatio: Spread;
  readonly processorRatio: Spread;
  /** What the observed server was asked for and left: none of it 0, or nothing was measured. */
  readonly scrapes: number;
  readonly spans: number;
  readonly records: number;
}

interface Sample {
  readonly milliseconds: number;
  readonly processorMs: number;
}

const CONCURRENCY = 16;
const DEADLINE_MS = 3_600_000;
/** Each look is a signed request, which the server computes for: often enough to see the end, and seldom enough not to be it. */
const POLL_MS = 50;
const SCRAPE_MS = 1000;
const anything = z.unknown();
const phaseSchema = z.object({ phase: z.string() });
/** Ticks of the kernel's clock in which /proc counts (man 5 proc): 100 a second on every Linux that Node runs on. */
const MS_PER_TICK = 10;

export async function measureObserving(options: ObservingOptions): Promise<ObservingFigures> {
  const { directory, robots, values, rounds, progress } = options;
  progress('Making a fleet');
  const fleet = await SoakFleet.create(directory, robots, values);
  const collector = await Collector.start();
  const stores = [fleet.at('store-without'), fleet.at('store-observed')] as const;
  const token = await viewerToken(stores[1]);
  const servers: ServerProcess[] = [];
  let scraper: Scraper | undefined;
  try {
    for (const [i, store] of stores.entries()) {
      const observing = i === 1;
      servers.push(
        await ServerProcess.create(fleet.at(`server-${i}.json`), {
          store: { kind: 'embedded', directory: store },
          aggregator: await fleet.aggregatorFor(i),
          sumLeaseMs: 60_000,
          observing,
          ...(observing && { recordsDirectory: fleet.at('records'), environment: collector.environment }),
        }),
      );
    }
    const [without, observed] = servers as [ServerProcess, ServerProcess];
    scraper = new Scraper(observed.address, token);
    const samples: { readonly without: Sample[]; readonly observed: Sample[] } = {
      without: [],
      observed: [],
    };
    let updateBytes = 0;
    // The first round is for warming up.
    for (let round = 1; round <= rounds + 1; round += 1) {
      progress(`Round ${round} of ${rounds + 1}`);
      const plan = await fleet.plan(round, Date.now() + DEADLINE_MS);
      const updates = await sealUpdates(fleet.at(`${round}`), plan, fleet.robots, `observing ${round}`);
      updateBytes = updates[0]?.sizeBytes ?? 0;
      const run = async (server: ServerProcess, into: Sample[]): Promise<void> => {
        const sample = await runRound(fleet, server, plan, updates);
        if (round > 1) into.push(sample);
      };
      if (round % 2 === 0) await run(without, samples.without);
      await run(observed, samples.observed);
      if (round % 2 !== 0) await run(without, samples.without);
    }
    await scraper.stop();
    await Promise.all(servers.map((server) => server.stop()));
    const { records } = await readJsonlRecords(fleet.at('records'));
    const figures = (of: readonly Sample[]): ServerFigures => ({
      updatesPerSecond: spread(of.map(({ milliseconds }) => (robots / milliseconds) * 1000)),
      processorMs: spread(of.map(({ processorMs }) => processorMs / robots)),
    });
    const ratios = (of: (sample: Sample) => number): number[] =>
      samples.observed.map((sample, i) => of(sample) / of(samples.without[i] as Sample));
    const counted = { scrapes: scraper.scrapes, spans: collector.spans, records: records.length };
    if (Object.values(counted).includes(0)) {
      throw new EnvironmentError('bench.not-observed', `Nothing was observed: ${JSON.stringify(counted)}.`);
    }
    return {
      ...{ robots, updateBytes, rounds },
      without: figures(samples.without),
      observed: figures(samples.observed),
      wallRatio: spread(ratios(({ milliseconds }) => 1 / milliseconds)),
      processorRatio: spread(ratios(({ processorMs }) => processorMs)),
      ...counted,
    };
  } finally {
    await scraper?.stop();
    await Promise.all(servers.map((server) => server.kill()));
    await collector.stop();
  }
}

async function viewerToken(directory: string): Promise<string> {
  const store = await openStore({ kind: 'embedded', directory });
  try {
    return (await new BearerTokens(new StoredTokens(store.state)).create('scraper', 'viewer', 1)).token;
  } finally {
    await store.close();
  }
}

async function runRound(
  fleet: SoakFleet,
  server: ServerProcess,
  { name, bytes }: PlannedRound,
  updates: readonly SealedUpdate[],
): Promise<Sample> {
  const owner = await fleet.api('owner', server.address);
  await owner.putBytes(`/v1/rounds/${name}/plan`, bytes, 'named-by-path', anything);
  const waiting = [...updates];
  const before = processorMs(server);
  const started = performance.now();
  await Promise.all(
    Array.from({ length: CONCURRENCY }, async () => {
      for (let update = waiting.pop(); update !== undefined; update = waiting.pop()) {
        const { robot, path, fingerprint } = update;
        const api = new SignedClient({
          baseUrl: server.address,
          key: robot.signing,
          backoff: { maxAttempts: 1 },
        });
        await api.putFile(`/v1/rounds/${name}/updates/${fingerprint}`, path, anything);
      }
    }),
  );
  while ((await owner.getJson(`/v1/rounds/${name}`, phaseSchema)).phase !== 'awaiting-answers')
    await sleep(POLL_MS);
  return { milliseconds: performance.now() - started, processorMs: processorMs(server) - before };
}

/** What a process has computed so far, in user mode and in the kernel for it. */
function processorMs({ pid }: ServerProcess): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // After the name, which may hold anything, in parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
}

/** Asks for the metrics as Prometheus does, more often than it would. */
class Scraper {
  scrapes = 0;
  readonly #stopping = new AbortController();
  readonly #done: Promise<void>;

  constructor(address: string, token: string) {
    this.#done = this.#run(`${address}/metrics`, { authorization: `Bearer ${token}` });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#done;
  }

  async #run(url: string, headers: Record<string, string>): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const response = await fetch(url, { headers, signal }).catch(() => undefined);
      if (response?.ok && (await response.text().catch(() => '')).includes('tensorguard_')) this.scrapes += 1;
      await sleep(SCRAPE_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}

/** Takes traces over OTLP, and counts them. */
class Collector {
  spans = 0;

  private constructor(private readonly server: Server) {}

  static async start(): Promise<Collector> {
    const server = createServer();
    const collector = new Collector(server);
    server.on('request', (request, response) => {
      let text = '';
      request.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      request.on('end', () => {
        collector.spans += text.split('"traceId"').length - 1;
        response.setHeader('content-type', 'application/json').end('{}');
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return collector;
  }

  get environment(): Record<string, string> {
    const { port } = this.server.address() as AddressInfo;
    return {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    };
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }
}
