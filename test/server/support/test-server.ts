/** The real server with a small fleet, tokens in memory, and a few routes to try. */
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { z } from 'zod';
import { signRequest } from '../../../lib/agents/http/request-signer.js';
import type { AccessTable } from '../../../lib/server/auth/access.js';
import { requireOwnId } from '../../../lib/server/auth/access.js';
import { contentDigestOf } from '../../../lib/server/auth/content-digest.js';
import { RosterKeyDirectory } from '../../../lib/server/auth/key-directory.js';
import { BearerTokens, type StoredToken, type TokenStore } from '../../../lib/server/auth/tokens.js';
import { type AppOptions, createApp } from '../../../lib/server/http/app.js';
import type { App } from '../../../lib/server/http/app-type.js';
import { actorOf } from '../../../lib/server/http/gatekeeper.js';
import { answerParams, chunkParams, planParams } from '../../../lib/server/http/params.js';
import { HEALTH_ACCESS, registerHealthRoutes } from '../../../lib/server/routes/health.js';
import { createMembers, type Member, type Members, rosterBody } from '../../round/support/members.js';

export class MemoryTokenStore implements TokenStore {
  readonly tokens = new Map<string, StoredToken>();

  async get(id: string): Promise<StoredToken | undefined> {
    return this.tokens.get(id);
  }

  async put(token: StoredToken): Promise<void> {
    this.tokens.set(token.id, token);
  }

  async list(): Promise<readonly StoredToken[]> {
    return [...this.tokens.values()];
  }
}

export const TEST_ACCESS: AccessTable = {
  ...HEALTH_ACCESS,
  'GET /v1/rounds/:plan': { allow: ['client', 'custodian', 'owner', 'operator', 'viewer'] },
  'POST /v1/rounds/:plan/abort': { allow: ['operator', 'owner'] },
  'PUT /v1/rounds/:plan/file': { allow: ['client'], body: 'named-by-path' },
  'PUT /v1/rounds/:plan/small-file': { allow: ['client'] },
  'PUT /v1/rounds/:plan/answers/:custodian': { allow: ['custodian'] },
  'PUT /v1/rounds/:plan/updates/:fingerprint/chunks/:chunk': { allow: ['client'], body: 'named-by-path' },
  'POST /v1/enrolments': { allow: 'anybody', requestsPerMinute: 5 },
  'GET /v1/failures/:code': { allow: 'anybody' },
  'GET /v1/slow': { allow: 'anybody' },
  'GET /v1/stream': { allow: 'anybody' },
};

export const FILE_LIMIT_BYTES = 4 << 20;
const receipt = z.object({ sizeBytes: z.int() });

async function sizeOf(body: unknown): Promise<number> {
  if (!(body instanceof Readable)) return 0;
  let sizeBytes = 0;
  for await (const piece of body) sizeBytes += (piece as Buffer).length;
  return sizeBytes;
}

export interface Gates {
  /** What /v1/failures/:code throws. */
  readonly failures: Map<string, unknown>;
  /** Resolves /v1/slow and /v1/stream. */
  release: () => void;
}

function registerTestRoutes(app: App, gates: Gates): void {
  app.get('/v1/rounds/:plan', { schema: { params: planParams } }, async (request) => ({
    role: actorOf(request).role,
    id: actorOf(request).id,
  }));
  app.post(
    '/v1/rounds/:plan/abort',
    { schema: { params: planParams, body: z.strictObject({ reason: z.string().min(1).max(64) }) } },
    async (request) => ({ reason: request.body.reason }),
  );
  for (const name of ['file', 'small-file']) {
    app.put(
      `/v1/rounds/:plan/${name}`,
      { bodyLimit: FILE_LIMIT_BYTES, schema: { params: planParams, response: { 200: receipt } } },
      async (request) => ({ sizeBytes: await sizeOf(request.body) }),
    );
  }
  app.put('/v1/rounds/:plan/answers/:custodian', { schema: { params: answerParams } }, async (request) => {
    requireOwnId(request.actor, 'custodian', request.params.custodian);
    return { sizeBytes: await sizeOf(request.body) };
  });
  app.put(
    '/v1/rounds/:plan/updates/:fingerprint/chunks/:chunk',
    { schema: { params: chunkParams } },
    async (request) => ({ chunk: request.params.chunk }),
  );
  app.post('/v1/enrolments', async () => ({ ok: true }));
  app.get('/v1/failures/:code', async (request) => {
    const { code } = request.params as { code: string };
    throw gates.failures.get(code);
  });
  app.get('/v1/slow', async () => {
    await new Promise<void>((resolve) => {
      gates.release = resolve;
    });
    return { done: true };
  });
  app.get('/v1/stream', async (_request, reply) => {
    async function* parts() {
      yield 'begun, ';
      await new Promise<void>((resolve) => {
        gates.release = resolve;
      });
      yield 'ended';
    }
    return reply.type('application/octet-stream').send(Readable.from(parts()));
  });
}

export interface TestServer {
  readonly app: App;
  readonly members: Members;
  readonly directory: RosterKeyDirectory;
  readonly tokens: BearerTokens;
  readonly tokenStore: MemoryTokenStore;
  readonly gates: Gates;
  readonly log: string[];
}

const open: App[] = [];

export async function createTestServer(options: Partial<AppOptions> = {}): Promise<TestServer> {
  const members = await createMembers({ clients: 3, custodians: 3 });
  const directory = new RosterKeyDirectory(rosterBody(members));
  const tokenStore = new MemoryTokenStore();
  const tokens = new BearerTokens(tokenStore);
  const log: string[] = [];
  const app = await createApp({
    access: TEST_ACCESS,
    directory,
    tokens,
    version: '0.0.0-test',
    log: { destination: { write: (line: string) => log.push(line) } },
    ...options,
  });
  open.push(app);
  const gates: Gates = { failures: new Map(), release: () => undefined };
  registerHealthRoutes(app, []);
  registerTestRoutes(app, gates);
  return { app, members, directory, tokens, tokenStore, gates, log };
}

export async function listen(app: App): Promise<{ port: number; host: string; url: string }> {
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as AddressInfo;
  return { port, host: `127.0.0.1:${port}`, url: `http://127.0.0.1:${port}` };
}

after(async () => {
  await Promise.all(open.splice(0).map((app) => app.close()));
});

export const PLAN = 'ab'.repeat(32);

export interface SignedInjection {
  readonly method: 'GET' | 'PUT' | 'POST' | 'HEAD';
  readonly url: string;
  readonly payload?: Buffer;
  readonly contentType?: string;
  readonly digest?: boolean;
}

/** Headers of a signed request to `authority`. */
export async function signedHeaders(
  member: Member,
  { method, url, payload, contentType, digest }: SignedInjection,
  authority = 'localhost',
): Promise<Record<string, string>> {
  const covered = digest ?? (method === 'PUT' || method === 'POST');
  const contentDigest = covered ? contentDigestOf(payload ?? new Uint8Array()) : undefined;
  const signed = await signRequest(
    member.signing,
    { method, target: url, authority, contentDigest },
    Date.now(),
  );
  return { host: authority, ...signed, ...(contentType !== undefined && { 'content-type': contentType }) };
}

export async function injectSigned(app: App, member: Member, injection: SignedInjection) {
  const headers = await signedHeaders(member, injection);
  const { method, url, payload } = injection;
  return app.inject({ method, url, headers, ...(payload !== undefined && { payload }) });
}
