import { expect } from 'chai';
import { RefusedError } from '../../../lib/errors.js';
import { ROLES, type Role } from '../../../lib/server/auth/actor.js';
import { contentDigestOf } from '../../../lib/server/auth/content-digest.js';
import { createApp } from '../../../lib/server/http/app.js';
import { RetryLaterError } from '../../../lib/server/problems/retry-later.js';
import { expectRefusal } from '../../support/refusals.js';
import {
  createTestServer,
  injectSigned,
  PLAN,
  signedHeaders,
  TEST_ACCESS,
  type TestServer,
} from '../support/test-server.js';

describe('the server', () => {
  let server: TestServer;

  beforeEach(async () => {
    server = await createTestServer();
  });

  async function bearer(role: 'operator' | 'viewer'): Promise<Record<string, string>> {
    const { token } = await server.tokens.create(role, role, 1);
    return { authorization: `Bearer ${token}` };
  }

  function client() {
    const [first] = server.members.clients;
    if (first === undefined) throw new Error('the fleet has clients');
    return first;
  }

  it('knows who asks', async () => {
    const answer = await injectSigned(server.app, client(), { method: 'GET', url: `/v1/rounds/${PLAN}?x=1` });
    expect(answer.statusCode).to.equal(200);
    expect(answer.json()).to.deep.equal({ role: 'client', id: 'client-1' });
    const person = await server.app.inject({ url: `/v1/rounds/${PLAN}`, headers: await bearer('viewer') });
    expect(person.json().role).to.equal('viewer');
  });

  it('asks for credentials, and says which', async () => {
    const answer = await server.app.inject({ url: `/v1/rounds/${PLAN}` });
    expect(answer.statusCode).to.equal(401);
    expect(answer.headers['content-type']).to.match(/^application\/problem\+json/);
    expect(answer.headers['www-authenticate']).to.match(/^Bearer/);
    expect(answer.headers['accept-signature']).to.include('tag="tensorguard-v1"');
    expect(answer.json()).to.include({ code: 'auth.required', status: 401, title: 'Unauthorized' });
    expect(answer.json().instance).to.equal(`urn:uuid:${answer.headers['x-request-id']}`);
  });

  it('takes a signature or a token, not both', async () => {
    const request = { method: 'GET', url: `/v1/rounds/${PLAN}` } as const;
    const headers = { ...(await signedHeaders(client(), request)), ...(await bearer('viewer')) };
    const answer = await server.app.inject({ ...request, headers });
    expect(answer.json().code).to.equal('auth.two-credentials');
  });

  it('allows every role what the table says and nothing more', async () => {
    const { members, app } = server;
    const requests = {
      [`GET /v1/rounds/${PLAN}`]: TEST_ACCESS['GET /v1/rounds/:plan'],
      [`POST /v1/rounds/${PLAN}/abort`]: TEST_ACCESS['POST /v1/rounds/:plan/abort'],
      [`PUT /v1/rounds/${PLAN}/small-file`]: TEST_ACCESS['PUT /v1/rounds/:plan/small-file'],
      [`PUT /v1/rounds/${PLAN}/answers/custodian-1`]: TEST_ACCESS['PUT /v1/rounds/:plan/answers/:custodian'],
    };
    const machines = { client: client(), custodian: members.custodians[0], owner: members.owner };
    for (const [name, access] of Object.entries(requests)) {
      const [method, url] = name.split(' ') as ['GET' | 'PUT' | 'POST', string];
      const body =
        method === 'POST'
          ? { payload: Buffer.from('{"reason":"x"}'), contentType: 'application/json' }
          : method === 'PUT'
            ? { payload: Buffer.from('x'), contentType: 'application/octet-stream' }
            : {};
      for (const role of ROLES) {
        const machine = machines[role as keyof typeof machines];
        const answer =
          machine === undefined
            ? await app.inject({
                method,
                url,
                headers: {
                  ...(await bearer(role as 'operator')),
                  ...('contentType' in body && { 'content-type': body.contentType }),
                },
                ...('payload' in body && { payload: body.payload }),
              })
            : await injectSigned(app, machine, { method, url, ...body });
        const allowed = ((access?.allow ?? []) as readonly Role[]).includes(role);
        expect(answer.statusCode, `${role} ${name}: ${answer.body}`).to.equal(allowed ? 200 : 403);
        if (!allowed) expect(answer.json().code).to.equal('auth.forbidden');
      }
    }
  });

  it('refuses a route that the table does not list', async () => {
    await expectRefusal('server.access-undeclared', () => server.app.get('/v1/forgotten', async () => 'x'));
    await expectRefusal('server.access-undeclared', () => server.app.delete('/healthz', async () => 'x'));
  });

  it('lets a member act for itself alone', async () => {
    const [first] = server.members.custodians;
    const request = {
      method: 'PUT',
      payload: Buffer.from('x'),
      contentType: 'application/octet-stream',
    } as const;
    const answer = await injectSigned(server.app, first ?? server.members.owner, {
      ...request,
      url: `/v1/rounds/${PLAN}/answers/custodian-2`,
    });
    expect(answer.statusCode).to.equal(403);
    expect(answer.json().code).to.equal('auth.not-yours');
  });

  it('refuses a body that is not the one that was signed, JSON and file, empty and not', async () => {
    const bodies = [
      {
        url: `/v1/rounds/${PLAN}/abort`,
        method: 'POST',
        type: 'application/json',
        signer: server.members.owner,
      },
      {
        url: `/v1/rounds/${PLAN}/small-file`,
        method: 'PUT',
        type: 'application/octet-stream',
        signer: client(),
      },
    ] as const;
    for (const { url, method, type, signer } of bodies) {
      for (const [signed, sent] of [
        ['{"reason":"yes"}', '{"reason":"no!"}'],
        ['{"reason":"yes"}', ''],
        ['', '{"reason":"no!"}'],
      ] as const) {
        const headers = await signedHeaders(signer, {
          method,
          url,
          payload: Buffer.from(signed),
          contentType: type,
        });
        const answer = await server.app.inject({ method, url, headers, payload: Buffer.from(sent) });
        expect(answer.statusCode, `${url} ${signed} ${sent}`).to.equal(400);
        expect(answer.json().code).to.equal('auth.digest-mismatch');
      }
    }
  });

  it('refuses a second use of one signed request', async () => {
    const request = { method: 'GET', url: `/v1/rounds/${PLAN}` } as const;
    const headers = await signedHeaders(client(), request);
    expect((await server.app.inject({ ...request, headers })).statusCode).to.equal(200);
    const again = await server.app.inject({ ...request, headers });
    expect(again.statusCode).to.equal(401);
    expect(again.json().code).to.equal('auth.replayed');
  });

  it('takes HEAD as GET, signed as HEAD', async () => {
    const url = `/v1/rounds/${PLAN}`;
    expect((await server.app.inject({ method: 'HEAD', url })).statusCode).to.equal(401);
    const answer = await injectSigned(server.app, client(), { method: 'HEAD', url });
    expect(answer.statusCode).to.equal(200);
    expect(answer.body).to.equal('');
    const asGet = await signedHeaders(client(), { method: 'GET', url });
    expect((await server.app.inject({ method: 'HEAD', url, headers: asGet })).statusCode).to.equal(401);
  });

  it('verifies the authority that clients address, behind a proxy too', async () => {
    const behind = await createTestServer({ publicAuthority: 'Fleet.example.com' });
    const request = { method: 'GET', url: `/v1/rounds/${PLAN}` } as const;
    const headers = await signedHeaders(client(), request, 'fleet.example.com');
    const answer = await behind.app.inject({ ...request, headers: { ...headers, host: '10.0.0.9:8080' } });
    expect(answer.statusCode).to.equal(200);
    const other = await signedHeaders(client(), request, '10.0.0.9:8080');
    expect((await behind.app.inject({ ...request, headers: other })).json().code).to.equal(
      'auth.bad-signature',
    );
    await expectRefusal('server.bad-authority', () => createTestServer({ publicAuthority: 'https://x/' }));
  });

  it('names the fields that are not valid, and not what they hold', async () => {
    const answer = await server.app.inject({
      method: 'POST',
      url: `/v1/rounds/${PLAN}/abort`,
      headers: { ...(await bearer('operator')), 'content-type': 'application/json' },
      payload: JSON.stringify({ reason: 7, 'x"<script>': 'hunter2' }),
    });
    expect(answer.statusCode).to.equal(400);
    expect(answer.json()).to.deep.include({ code: 'request.invalid', fields: ['body.reason', 'body'] });
    expect(answer.body).not.to.match(/<script|hunter2/);
  });

  it('does not quote a body that is not JSON', async () => {
    const answer = await server.app.inject({
      method: 'POST',
      url: `/v1/rounds/${PLAN}/abort`,
      headers: { ...(await bearer('operator')), 'content-type': 'application/json' },
      payload: '{"reason": hunter2',
    });
    expect(answer.json().code).to.equal('request.malformed');
    expect(answer.body).not.to.include('hunter2');
  });

  it('answers what fails without saying what, and logs it under the id of the request', async () => {
    server.gates.failures.set('bug', new TypeError('cannot read /srv/keys'));
    const answer = await server.app.inject({ url: '/v1/failures/bug' });
    expect(answer.statusCode).to.equal(500);
    expect(answer.json().code).to.equal('server.internal');
    expect(answer.body).not.to.match(/srv|TypeError/);
    const line = server.log.find((text) => text.includes('cannot read /srv/keys')) ?? '{}';
    expect(JSON.parse(line).reqId).to.equal(answer.headers['x-request-id']);
  });

  it('says when to come back', async () => {
    server.gates.failures.set('later', new RetryLaterError('server.overloaded', 'Too much.', 1500));
    const answer = await server.app.inject({ url: '/v1/failures/later' });
    expect(answer.statusCode).to.equal(503);
    expect(answer.headers['retry-after']).to.equal('2');
  });

  it('logs one line a request, with the actor and the route, and no header, query or body', async () => {
    const { token } = await server.tokens.create('Ada', 'operator', 1);
    await server.app.inject({
      method: 'POST',
      url: `/v1/rounds/${PLAN}/abort?note=hunter2`,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', cookie: 'hunter3' },
      payload: '{"reason":"hunter4"}',
    });
    await injectSigned(server.app, client(), { method: 'GET', url: `/v1/rounds/${PLAN}?note=hunter5` });
    server.app.log.info({ headers: { authorization: token, 'signature-input': token }, token }, 'careless');
    const text = server.log.join('');
    expect(text).not.to.match(/hunter|sig=|tensorguard=\(/);
    expect(text).not.to.include(token.slice(21));
    const lines = server.log.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'request');
    expect(lines).to.have.length(2);
    expect(lines[0]).to.include({ method: 'POST', route: '/v1/rounds/:plan/abort', status: 200 });
    expect(lines[0].actor.role).to.equal('operator');
    expect(lines[1].actor).to.deep.equal({ role: 'client', id: 'client-1' });
  });

  it('does not take the id of a request from the caller', async () => {
    const answer = await server.app.inject({ url: '/healthz', headers: { 'x-request-id': 'mine' } });
    expect(answer.headers['x-request-id']).not.to.equal('mine');
  });

  it('limits an address, a caller and a route', async () => {
    const limited = await createTestServer({
      limits: { requestsPerMinutePerAddress: 12, requestsPerMinutePerActor: 3 },
    });
    const statuses: number[] = [];
    for (let i = 0; i < 4; i += 1) {
      const request = { method: 'GET', url: `/v1/rounds/${PLAN}` } as const;
      statuses.push((await injectSigned(limited.app, client(), request)).statusCode);
    }
    expect(statuses).to.deep.equal([200, 200, 200, 429]);
    // Two of one address do not share the limit of a caller.
    const other = await injectSigned(limited.app, limited.members.owner, {
      method: 'GET',
      url: `/v1/rounds/${PLAN}`,
    });
    expect(other.statusCode).to.equal(200);
    const enrolments: number[] = [];
    for (let i = 0; i < 6; i += 1) {
      enrolments.push((await limited.app.inject({ method: 'POST', url: '/v1/enrolments' })).statusCode);
    }
    expect(enrolments).to.deep.equal([200, 200, 200, 200, 200, 429]);
    await limited.app.inject({ url: '/nothing' });
    const last = await limited.app.inject({ url: '/healthz' });
    expect(last.statusCode).to.equal(429);
    expect(last.json().code).to.equal('request.rate-limited');
    expect(Number(last.headers['retry-after'])).to.be.within(1, 60);
  });

  it('are limited for all callers of a route together, whatever addresses they have', async () => {
    const access = {
      ...TEST_ACCESS,
      'POST /v1/enrolments': { allow: 'anybody', requestsPerMinuteOfAll: 3 },
    } as const;
    const { app } = await createTestServer({ access });
    const statuses: number[] = [];
    for (let host = 1; host <= 5; host += 1) {
      const { statusCode } = await app.inject({
        method: 'POST',
        url: '/v1/enrolments',
        remoteAddress: `10.0.0.${host}`,
        payload: {},
      });
      statuses.push(statusCode);
    }
    expect(statuses).to.deep.equal([200, 200, 200, 429, 429]);
  });

  it('sets headers that a browser needs, and no caching', async () => {
    const { headers } = await server.app.inject({ url: '/nothing' });
    expect(headers).to.include({
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
    });
    expect(headers['content-security-policy']).to.include("default-src 'none'");
    expect(headers).not.to.have.any.keys('server', 'x-powered-by', 'strict-transport-security');
  });

  it('describes itself in OpenAPI 3.1, with roles, security and problems', async () => {
    const answer = await server.app.inject({ url: '/openapi.json' });
    const document = answer.json();
    expect(document.openapi).to.equal('3.1.0');
    expect(Object.keys(document.components.securitySchemes)).to.deep.equal(['signature', 'token']);
    const abort = document.paths['/v1/rounds/{plan}/abort'].post;
    expect(abort['x-roles']).to.deep.equal(['operator', 'owner']);
    expect(abort.security).to.deep.equal([{ signature: [] }, { token: [] }]);
    expect(abort.requestBody.content['application/json'].schema.properties.reason.maxLength).to.equal(64);
    expect(abort.parameters[0].schema.pattern).to.equal('^[0-9a-f]{64}$');
    expect(Object.keys(abort.responses)).to.include.members(['200', 'default']);
    expect(abort.responses.default.content['application/problem+json'].schema.properties.code.type).to.equal(
      'string',
    );
    expect(document.paths['/healthz'].get.security).to.deep.equal([]);
    expect(Object.keys(document.paths).filter((path) => path.startsWith('/docs'))).to.deep.equal([]);
  });

  it('shows its description to browse, under a policy that lets it run', async () => {
    const page = await server.app.inject({ url: '/docs/' });
    expect(page.statusCode).to.equal(200);
    expect(page.body).to.include('swagger-ui');
    expect(page.headers['content-security-policy']).to.include("script-src 'self'");
    expect((await server.app.inject({ url: '/docs/static/swagger-ui.css' })).statusCode).to.equal(200);
    expect((await server.app.inject({ url: '/docs/static/..%2f..%2fpackage.json' })).statusCode).to.be.within(
      400,
      404,
    );
  });

  it('is alive, and ready once nothing is missing', async () => {
    expect((await server.app.inject({ url: '/healthz' })).json()).to.deep.equal({ status: 'ok' });
    expect((await server.app.inject({ url: '/readyz' })).json()).to.deep.equal({
      status: 'ready',
      missing: [],
    });
  });

  it('refuses compressed and chunked bodies, and types that a route does not take', async () => {
    const url = `/v1/rounds/${PLAN}/abort`;
    const headers = { ...(await bearer('operator')), 'content-type': 'application/json' };
    const payload = '{"reason":"x"}';
    const gzip = await server.app.inject({
      method: 'POST',
      url,
      headers: { ...headers, 'content-encoding': 'gzip' },
      payload,
    });
    expect([gzip.statusCode, gzip.json().code]).to.deep.equal([415, 'request.bad-encoding']);
    const chunked = await server.app.inject({
      method: 'POST',
      url,
      headers: { ...headers, 'transfer-encoding': 'chunked' },
      payload,
    });
    expect([chunked.statusCode, chunked.json().code]).to.deep.equal([411, 'request.length-required']);
    const text = await server.app.inject({
      method: 'POST',
      url,
      headers: { ...headers, 'content-type': 'text/plain' },
      payload,
    });
    expect([text.statusCode, text.json().code]).to.deep.equal([415, 'request.bad-media-type']);
  });

  it('refuses prototype tricks in JSON', async () => {
    const answer = await server.app.inject({
      method: 'POST',
      url: `/v1/rounds/${PLAN}/abort`,
      headers: { ...(await bearer('operator')), 'content-type': 'application/json' },
      payload: '{"reason":"x","__proto__":{"role":"owner"}}',
    });
    expect(answer.statusCode).to.equal(400);
  });

  it('says what is wrong with its TLS files', async () => {
    const files = { certificatePath: '/nowhere/cert.pem', keyPath: '/nowhere/key.pem' };
    await expectRefusal('server.tls-unreadable', () =>
      createApp({
        access: TEST_ACCESS,
        directory: server.directory,
        tokens: server.tokens,
        version: '0',
        tls: files,
      }),
    );
  });

  it('does not accept a digest header in place of a signed one', async () => {
    const url = `/v1/rounds/${PLAN}/small-file`;
    const headers = await signedHeaders(client(), { method: 'PUT', url, digest: false });
    const answer = await server.app.inject({
      method: 'PUT',
      url,
      headers: {
        ...headers,
        'content-digest': contentDigestOf(Buffer.from('x')),
        'content-type': 'application/octet-stream',
      },
      payload: 'x',
    });
    expect(answer.json().code).to.equal('auth.missing-component');
  });

  it('maps a refusal of the library to its status', async () => {
    server.gates.failures.set('older', new RefusedError('roster.older', 'Version 4 was accepted before.'));
    const answer = await server.app.inject({ url: '/v1/failures/older' });
    expect(answer.statusCode).to.equal(409);
    expect(answer.json().detail).to.equal('Version 4 was accepted before.');
  });
});
