import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'chai';
import { z } from 'zod';
import { ApiRefusedError, ApiUnavailableError } from '../../../lib/agents/http/api-errors.js';
import { SignedClient, type SignedClientOptions } from '../../../lib/agents/http/signed-client.js';
import type { Member } from '../../round/support/members.js';
import {
  createTestServer,
  FILE_LIMIT_BYTES,
  listen,
  PLAN,
  type TestServer,
} from '../../server/support/test-server.js';
import { expectRefusal } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

const QUICK = { firstDelayMs: 1, maxDelayMs: 2, maxAttempts: 3 };
const receipt = z.object({ sizeBytes: z.int() });

describe('a signed client and the server', () => {
  let server: TestServer;
  let url: string;

  before(async () => {
    server = await createTestServer();
    ({ url } = await listen(server.app));
  });

  function clientOf(
    member: Member | undefined = server.members.clients[0],
    options: Partial<SignedClientOptions> = {},
  ) {
    const key = (member ?? server.members.owner).signing;
    return new SignedClient({ baseUrl: url, key, backoff: QUICK, ...options });
  }

  it('understand each other: queries, JSON, bytes and files', async () => {
    const who = z.object({ role: z.string(), id: z.string() });
    const path = `/v1/rounds/${PLAN}`;
    const query = { state: 'open & closed', page: 2, none: undefined };
    expect(await clientOf().getJson(path, who, { query })).to.deep.equal({ role: 'client', id: 'client-1' });
    const abort = { reason: 'größer' };
    const owner = clientOf(server.members.owner);
    expect(
      await owner.sendJson('POST', `${path}/abort`, abort, z.object({ reason: z.string() })),
    ).to.deep.equal(abort);
    const small = await clientOf().putBytes(
      `${path}/small-file`,
      randomBytes(1000),
      'content-digest',
      receipt,
    );
    expect(small.sizeBytes).to.equal(1000);
  });

  it('stream a file with its length, and an empty one', async () => {
    const directory = await temporaryDirectory();
    for (const sizeBytes of [3_000_000, 1, 0]) {
      const file = join(directory, `${sizeBytes}`);
      await writeFile(file, randomBytes(sizeBytes));
      expect(await clientOf().putFile(`/v1/rounds/${PLAN}/file`, file, receipt)).to.deep.equal({ sizeBytes });
    }
  });

  it('agree on what is refused, by code and status', async () => {
    const refusal = await expectRefusal('auth.forbidden', () =>
      clientOf().sendJson('POST', `/v1/rounds/${PLAN}/abort`, { reason: 'x' }, z.unknown()),
    );
    expect(refusal).to.be.instanceOf(ApiRefusedError);
    expect((refusal as ApiRefusedError).status).to.equal(403);
    const unknown = await expectRefusal('request.not-found', () =>
      clientOf().getJson('/v1/none', z.unknown()),
    );
    expect(unknown.message).to.include('GET /v1/none');
  });

  it('refuse a file that is too large, and do not send it again', async () => {
    const file = join(await temporaryDirectory(), 'large');
    await writeFile(file, randomBytes(FILE_LIMIT_BYTES + 1));
    const failures: unknown[] = [];
    const client = clientOf(undefined, { onRetry: (attempt) => failures.push(attempt) });
    await expectRefusal('request.too-large', () => client.putFile(`/v1/rounds/${PLAN}/file`, file, receipt));
    expect(failures).to.deep.equal([]);
  });

  it('say that the clock is wrong, and by how much', async () => {
    const late = clientOf(undefined, { now: () => Date.now() - 3_600_000 });
    const refusal = await expectRefusal('auth.expired', () =>
      late.getJson(`/v1/rounds/${PLAN}`, z.unknown()),
    );
    expect(refusal.message).to.match(/clock is 3(599|600|601) s behind the server's/);
    const early = clientOf(undefined, { now: () => Date.now() + 3_600_000 });
    const other = await expectRefusal('auth.from-the-future', () =>
      early.getJson(`/v1/rounds/${PLAN}`, z.unknown()),
    );
    expect(other.message).to.include('ahead of');
  });

  it('do not mistake an answer of another version for this one', async () => {
    const schema = z.object({ role: z.number() });
    const refusal = await expectRefusal('http.bad-answer', () =>
      clientOf().getJson(`/v1/rounds/${PLAN}`, schema),
    );
    expect(refusal.message).to.include('role');
  });
});

describe('a signed client', () => {
  const servers: Server[] = [];

  async function serve(listener: RequestListener): Promise<string> {
    const server = createServer(listener);
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  after(() => {
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
  });

  const key = {
    keyId: new Uint8Array(32),
    sign: async (): Promise<Uint8Array> => new Uint8Array(64),
  };

  function clientOf(baseUrl: string, options: Partial<SignedClientOptions> = {}): SignedClient {
    return new SignedClient({ baseUrl, key, backoff: QUICK, ...options });
  }

  it('tries again after failures that time may lift, each time with a new signature and the whole body', async () => {
    const seen: { input: string; body: string }[] = [];
    const baseUrl = await serve((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        seen.push({
          input: String(request.headers['signature-input']),
          body: Buffer.concat(chunks).toString(),
        });
        if (seen.length === 1) request.socket.destroy();
        else if (seen.length === 2) response.writeHead(503, { 'retry-after': '0' }).end('<html>busy</html>');
        else response.end('{"sizeBytes":5}');
      });
    });
    const file = join(await temporaryDirectory(), 'file');
    await writeFile(file, 'hello');
    const attempts: string[] = [];
    const client = clientOf(baseUrl, {
      onRetry: ({ error }) => attempts.push('code' in error ? String(error.code) : ''),
    });
    expect(await client.putFile('/v1/x', file, receipt)).to.deep.equal({ sizeBytes: 5 });
    expect(seen.map(({ body }) => body)).to.deep.equal(['hello', 'hello', 'hello']);
    expect(new Set(seen.map(({ input }) => input)).size).to.equal(3);
    expect(attempts).to.deep.equal(['http.unreachable', 'http.unavailable']);
  });

  it('gives up after so many attempts, and says how it ended', async () => {
    let count = 0;
    const baseUrl = await serve((_request, response) => {
      count += 1;
      const problem = JSON.stringify({ code: 'server.overloaded', detail: 'Too\nmuch \u001b[31mnow.' });
      response.writeHead(429, { 'content-type': 'application/problem+json' }).end(problem);
    });
    const error = await expectRefusal('server.overloaded', () =>
      clientOf(baseUrl).getJson('/v1/x', z.unknown()),
    );
    expect(error).to.be.instanceOf(ApiUnavailableError);
    expect(error.message).to.include('Too much [31mnow.');
    expect(count).to.equal(3);
    const refusedPort = 'http://127.0.0.1:1';
    await expectRefusal('http.unreachable', () => clientOf(refusedPort).getJson('/v1/x', z.unknown()));
  });

  it('does not repeat what is refused for good', async () => {
    let count = 0;
    const baseUrl = await serve((_request, response) => {
      count += 1;
      response.writeHead(409).end('{"code":"../../etc","detail":"x"}');
    });
    await expectRefusal('http.refused', () => clientOf(baseUrl).getJson('/v1/x', z.unknown()));
    expect(count).to.equal(1);
  });

  it('gives an attempt so long and no longer, and an answer that breaks off another one', async () => {
    const silent = await serve(() => undefined);
    const options = { attemptTimeoutMs: 40, backoff: { ...QUICK, maxAttempts: 2 } };
    await expectRefusal('http.timeout', () => clientOf(silent, options).getJson('/v1/x', z.unknown()));
    let count = 0;
    const broken = await serve((_request, response) => {
      count += 1;
      response.writeHead(200, { 'content-length': '11' });
      response.write('{"a":');
      if (count === 1) setTimeout(() => response.destroy(), 5);
      else response.end('12345}');
    });
    expect(await clientOf(broken).getJson('/v1/x', z.object({ a: z.number() }))).to.deep.equal({ a: 12345 });
  });

  it('gives up an answer that stalls, whether or not garbage was collected meanwhile', async () => {
    const stalled = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': '11' });
      response.write('{"a":');
    });
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const collecting = setInterval(collect, 10);
    try {
      const options = { attemptTimeoutMs: 200, backoff: { ...QUICK, maxAttempts: 1 } };
      await expectRefusal('http.timeout', () => clientOf(stalled, options).getJson('/v1/x', z.unknown()));
    } finally {
      clearInterval(collecting);
    }
  }).timeout(5_000);

  it('stops when it is told to, in an attempt and between two', async () => {
    const silent = await serve(() => undefined);
    const during = new AbortController();
    setTimeout(() => during.abort(), 20);
    await expectRefusal('http.aborted', () =>
      clientOf(silent).getJson('/v1/x', z.unknown(), { signal: during.signal }),
    );
    const busy = await serve((_request, response) => response.writeHead(503, { 'retry-after': '100' }).end());
    const between = new AbortController();
    const client = clientOf(busy, { onRetry: () => setTimeout(() => between.abort(), 5) });
    await expectRefusal('http.aborted', () =>
      client.getJson('/v1/x', z.unknown(), { signal: between.signal }),
    );
    await expectRefusal('http.aborted', () =>
      client.getJson('/v1/x', z.unknown(), { signal: between.signal }),
    );
  });

  it('reads no more of an answer than it has a use for', async () => {
    const baseUrl = await serve((_request, response) => response.end(Buffer.alloc(100_000)));
    await expectRefusal('http.bad-answer', () => clientOf(baseUrl).getBytes('/v1/x', 99_999));
    expect(await clientOf(baseUrl).getBytes('/v1/x', 100_000)).to.have.length(100_000);
  });

  it('lends a stream that outlives the time for an attempt', async () => {
    const baseUrl = await serve((_request, response) => {
      response.write('one');
      setTimeout(() => response.end('two'), 120);
    });
    const stream = await clientOf(baseUrl, { attemptTimeoutMs: 60 }).openStream('/v1/events');
    expect(await stream.text()).to.equal('onetwo');
  });

  it('follows no redirection', async () => {
    let followed = false;
    const elsewhere = await serve((_request, response) => {
      followed = true;
      response.end('{}');
    });
    const baseUrl = await serve((_request, response) =>
      response.writeHead(307, { location: `${elsewhere}/v1/x` }).end(),
    );
    await expectRefusal('http.unreachable', () => clientOf(baseUrl).getJson('/v1/x', z.unknown()));
    expect(followed).to.equal(false);
  });

  it('does not try again where its own key or file is at fault', async () => {
    let count = 0;
    const baseUrl = await serve((_request, response) => {
      count += 1;
      response.end('{}');
    });
    const missing = join(await temporaryDirectory(), 'missing');
    await expectRefusal('http.file-unreadable', () => clientOf(baseUrl).putFile('/v1/x', missing, receipt));
    expect(count).to.equal(0);
  });

  it('needs an address without a path, and paths that mean what they say', async () => {
    for (const address of [
      'fleet.example.com',
      'ftp://x',
      'https://x/api',
      'https://u:p@x/',
      'https://x/?a',
      '',
    ]) {
      await expectRefusal('http.bad-base-url', () => clientOf(address));
    }
    const client = clientOf('http://127.0.0.1:1');
    for (const path of [
      '/v1/../x',
      '//evil.example.com/x',
      'https://evil.example.com/',
      '/v1/x?y',
      '/v1/é',
      'v1',
    ]) {
      await expectRefusal('http.bad-path', () => client.getJson(path, z.unknown()));
    }
  });
});
