/** A server that cannot run a round yet, and says what is missing. */

import { RosterKeyDirectory } from './auth/key-directory.js';
import { BearerTokens } from './auth/tokens.js';
import { type AppOptions, createApp } from './http/app.js';
import { shutDown } from './http/shutdown.js';
import { HEALTH_ACCESS, registerHealthRoutes } from './routes/health.js';
import { PAGE_ACCESS, registerPageRoutes, type ServedPage } from './routes/page.js';

export interface UnconfiguredOptions extends Pick<AppOptions, 'log' | 'version'> {
  readonly host: string;
  readonly port: number;
  readonly missing: readonly MissingPart[];
  /** The dashboard, which says that too. */
  readonly page?: ServedPage | undefined;
}

/** What is missing, and what to do about it. */
export interface MissingPart {
  /** For the operator, on the server's own terminal and in its log. */
  readonly advice: string;
  /** For anybody who asks: it names no path. */
  readonly publicAdvice: string;
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
  const { host, port, missing, page, log, version } = options;
  const app = await createApp({
    access: { ...HEALTH_ACCESS, ...PAGE_ACCESS },
    directory: new RosterKeyDirectory(),
    tokens: new BearerTokens(NO_TOKENS),
    version,
    ...(log !== undefined && { log }),
  });
  registerHealthRoutes(
    app,
    missing.map(({ publicAdvice }) => ({ name: 'aggregator', missing: async () => publicAdvice })),
  );
  registerPageRoutes(app, page);
  await app.listen({ host, port });
  for (const { advice } of missing) app.log.warn(advice);
  const address = app.server.address();
  const bound = typeof address === 'object' && address !== null ? address.port : port;
  return { address: `http://${host}:${bound}`, stop: () => shutDown(app) };
}
