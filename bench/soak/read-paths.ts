/** What is read, as fast as it goes: health, a round's status, the aggregate. */
import autocannon from 'autocannon';
import { signRequest } from '../../lib/agents/http/request-signer.js';
import { openKeyStore } from '../../lib/custody/role-directory.js';
import { StoredTokens } from '../../lib/server/auth/stored-tokens.js';
import { BearerTokens } from '../../lib/server/auth/tokens.js';
import { openStore } from '../../lib/store/open-store.js';
import type { SoakFleet } from './fleet.js';
import type { Servers } from './servers.js';

export interface ReadFigures {
  readonly path: string;
  readonly requests: number;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly bytesPerSecond: number;
  /** Answers other than 200 to 299, errors, timeouts. */
  readonly failed: number;
}

const CONNECTIONS = 8;
const SECONDS = 5;
/** Each is signed beforehand, since a nonce is good for one; a signature is good for a minute. */
const AGGREGATES = 48;

/** @param plan of a round that was summed */
export async function measureReadPaths(
  fleet: SoakFleet,
  servers: Servers,
  plan: string,
): Promise<ReadFigures[]> {
  const url = servers.addresses[0] as string;
  const status = `/v1/rounds/${plan}`;
  const authorization = `Bearer ${await viewerToken(servers)}`;
  const timed = { connections: CONNECTIONS, duration: SECONDS };
  const health = await autocannon({ ...timed, url: `${url}/healthz` });
  const statuses = await autocannon({ ...timed, url: `${url}${status}`, headers: { authorization } });
  const aggregate = `${status}/aggregate`;
  const signed = await signedHeaders(fleet, new URL(url).host, aggregate);
  const downloads = await autocannon({
    url,
    connections: CONNECTIONS,
    amount: AGGREGATES,
    requests: [
      {
        setupRequest: (request) => ({
          ...request,
          path: aggregate,
          headers: { ...request.headers, ...(signed.pop() ?? {}) },
        }),
      },
    ],
  });
  return [
    figures('/healthz', health),
    figures('/v1/rounds/{plan}', statuses),
    figures('/v1/rounds/{plan}/aggregate', downloads),
  ];
}

function figures(path: string, result: Awaited<ReturnType<typeof autocannon>>): ReadFigures {
  const { latency, throughput, duration } = result;
  return {
    path,
    requests: result['2xx'],
    requestsPerSecond: result['2xx'] / duration,
    p50Ms: latency.p50,
    p99Ms: latency.p99,
    bytesPerSecond: throughput.average,
    failed: result.errors + result.timeouts + result.non2xx,
  };
}

async function viewerToken(servers: Servers): Promise<string> {
  const store = await openStore(servers.store);
  try {
    return (await new BearerTokens(new StoredTokens(store.state)).create('soak', 'viewer', 1)).token;
  } finally {
    await store.close();
  }
}

/** More than are asked for: autocannon prepares some requests that it does not send. */
async function signedHeaders(fleet: SoakFleet, authority: string, target: string) {
  const store = await openKeyStore(fleet.role('owner'));
  try {
    const key = await store.signing();
    const request = { method: 'GET', target, authority };
    const signatures = Array.from({ length: AGGREGATES + 4 * CONNECTIONS }, () =>
      signRequest(key, request, Date.now()),
    );
    return await Promise.all(signatures);
  } finally {
    store.close();
  }
}
