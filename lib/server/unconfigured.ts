/** A server that cannot run a round yet, and says what is missing. */

import { RosterKeyDirectory } from './auth/key-directory.js';
import { BearerTokens } from './auth/tokens.js';
import { type AppOptions, createApp } from './http/app.js';
import { shutDown } from './http/shutdown.js';
import { HEALTH_ACCESS, registerHealthRoutes } from './routes/health.js';

export interface UnconfiguredOptions extends Pick<AppOptions, 'log' | 'version'> {
  readonly host: string;
  readonly port: number;
  /** What is missing, and what to do about it. */
  readonly missing: readonly string[];
}

export interface UnconfiguredServer {
  readonly address: string;
  stop(): Promise<unknown>;
}

const NO_TOKENS = {
  get: async () => undefined,
  put: async () => undefined,
  list: async () => [],
};

export async function startUnconfigured(options: UnconfiguredOptions): Promise<UnconfiguredServer> {
  const { host, port, missing, log, version } = options;
  const app = await createApp({
    access: HEALTH_ACCESS,
    directory: new RosterKeyDirectory(),
    tokens: new BearerTokens(NO_TOKENS),
    version,
    ...(log !== undefined && { log }),
  });
  registerHealthRoutes(app, [
    {
      name: 'aggregator',
      // Paths are the operator's to see, on the server's own terminal; anybody may ask here.
      missing: async () =>
        missing.length === 0
          ? undefined
          : 'The server has no aggregator that a roster lists. Its log says what to do.',
    },
  ]);
  await app.listen({ host, port });
  for (const line of missing) app.log.warn(line);
  const address = app.server.address();
  const bound = typeof address === 'object' && address !== null ? address.port : port;
  return { address: `http://${host}:${bound}`, stop: () => shutDown(app) };
}
