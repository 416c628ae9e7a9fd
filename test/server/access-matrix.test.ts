import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { signRequest } from '../../lib/agents/http/request-signer.js';
import { openKeyStore } from '../../lib/custody/role-directory.js';
import type { LocalSigningKey } from '../../lib/package/signing-key.js';
import { accessOf, bodyIntegrityOf } from '../../lib/server/auth/access.js';
import { ROLES, type Role } from '../../lib/server/auth/actor.js';
import { contentDigestOf } from '../../lib/server/auth/content-digest.js';
import { StoredTokens } from '../../lib/server/auth/stored-tokens.js';
import { BearerTokens } from '../../lib/server/auth/tokens.js';
import { DOCUMENTATION_ACCESS } from '../../lib/server/openapi/documentation.js';
import { SERVICE_ACCESS } from '../../lib/server/service.js';
import { ServedTestFleet } from './support/served-fleet.js';

/** Who may do what, written down here a second time: a change of the code's table has to be meant. */
const EXPECTED: Readonly<Record<string, readonly Role[] | 'anybody'>> = {
  'GET /healthz': 'anybody',
  'GET /readyz': 'anybody',
  'GET /v1/roster': ['client', 'gateway', 'custodian', 'owner', 'operator', 'viewer'],
  'PUT /v1/roster': ['owner'],
  'POST /v1/enrolments': 'anybody',
  'GET /v1/enrolments': ['owner', 'operator'],
  'GET /v1/enrolments/:enrolment': ['owner', 'operator'],
  'PUT /v1/rounds/:plan/plan': ['owner'],
  'GET /v1/rounds/:plan/plan': ['client', 'gateway', 'custodian', 'owner'],
  'GET /v1/rounds': ['client', 'gateway', 'custodian', 'owner', 'operator', 'viewer'],
  'GET /v1/rounds/:plan': ['client', 'gateway', 'custodian', 'owner', 'operator', 'viewer'],
  'POST /v1/rounds/:plan/abort': ['owner', 'operator'],
  'PUT /v1/cohorts/:cohort': ['owner'],
  'GET /v1/cohorts/:cohort': ['owner', 'operator', 'viewer'],
  'PUT /v1/rounds/:plan/updates/:fingerprint': ['client'],
  'PUT /v1/rounds/:plan/updates/:fingerprint/envelope': ['client'],
  'PUT /v1/rounds/:plan/updates/:fingerprint/chunks/:chunk': ['client'],
  'POST /v1/rounds/:plan/updates/:fingerprint/complete': ['client'],
  'GET /v1/rounds/:plan/updates/:fingerprint': ['client', 'owner', 'operator', 'viewer'],
  'GET /v1/rounds/:plan/updates/:fingerprint/file': ['owner'],
  'PUT /v1/rounds/:plan/partial-sums/:fingerprint': ['gateway'],
  'GET /v1/rounds/:plan/partial-sums/:fingerprint/file': ['owner'],
  'GET /v1/rounds/:plan/aggregate': ['custodian', 'owner'],
  'PUT /v1/rounds/:plan/answers/:custodian': ['custodian'],
  'POST /v1/rounds/:plan/answers/:custodian/refusal': ['custodian'],
  'GET /v1/rounds/:plan/answers/:custodian': ['owner'],
  'PUT /v1/rounds/:plan/close': ['owner'],
  'GET /v1/rounds/:plan/close': ['client', 'gateway', 'custodian', 'owner', 'operator', 'viewer'],
  'PUT /v1/releases/:counter': ['owner'],
  'GET /v1/releases': ['client', 'owner', 'operator', 'viewer'],
  'GET /v1/releases/latest': ['client', 'owner'],
  'GET /v1/releases/:counter': ['client', 'owner'],
  'GET /v1/releases/:counter/header': ['owner', 'operator', 'viewer'],
  'PUT /v1/clients/:client/reports/:sequence': ['client'],
  'PUT /v1/verdicts/:fingerprint': ['owner'],
  'GET /v1/verdicts/:fingerprint': ['client', 'owner', 'operator', 'viewer'],
  'GET /v1/verdicts': ['owner', 'operator', 'viewer'],
  'GET /v1/verdicts/:fingerprint/findings': ['owner', 'operator', 'viewer'],
  'POST /v1/rollouts': ['owner', 'operator'],
  'GET /v1/rollouts': ['owner', 'operator', 'viewer'],
  'GET /v1/rollouts/:rollout': ['owner', 'operator', 'viewer'],
  'POST /v1/rollouts/:rollout/pause': ['owner', 'operator'],
  'POST /v1/rollouts/:rollout/resume': ['owner', 'operator'],
  'POST /v1/rollouts/:rollout/promote': ['owner', 'operator'],
  'POST /v1/rollouts/:rollout/abort': ['owner', 'operator'],
  'POST /v1/rollouts/:rollout/rollback': ['owner', 'operator'],
  'GET /v1/clients': ['owner', 'operator', 'viewer'],
  'GET /v1/records': ['owner', 'operator', 'viewer'],
  'GET /v1/custody': ['owner', 'operator', 'viewer'],
  'PUT /v1/custody/:custodian': ['custodian'],
  'PUT /v1/rounds/:plan/opening': ['owner'],
  'GET /v1/caller': ['client', 'gateway', 'custodian', 'owner', 'operator', 'viewer'],
  'GET /': 'anybody',
  'GET /dashboard/page.js': 'anybody',
  'GET /dashboard/page.css': 'anybody',
  'GET /dashboard/icon.svg': 'anybody',
  'GET /metrics': ['operator', 'viewer'],
  'GET /v1/schemas/:schema': 'anybody',
  'GET /v1/work': ['client', 'gateway', 'custodian', 'owner'],
  'GET /v1/events': ['client', 'gateway', 'custodian', 'owner', 'operator', 'viewer'],
};

/** Names of things that are not there, so that what is allowed ends in "not found" or the like. */
function pathOf(route: string): string {
  return route
    .replace(':plan', 'a'.repeat(64))
    .replace(':fingerprint', 'b'.repeat(64))
    .replace(':enrolment', 'c'.repeat(64))
    .replace(':custodian', 'custodian-1')
    .replace(':cohort', 'elsewhere')
    .replace(':counter', '7')
    .replace(':schema', 'record')
    .replace(':chunk', '0')
    .replace(':rollout', '7')
    .replace(':client', 'client-01')
    .replace(':sequence', '0');
}

describe('who may use which route of the service', function () {
  this.timeout(60_000);

  let fleet: ServedTestFleet;
  const keys = new Map<Role, LocalSigningKey>();
  const tokens = new Map<Role, string>();

  before(async () => {
    fleet = await ServedTestFleet.create(3, { gateways: 1 });
    const { context } = await fleet.start();
    for (const [role, directory] of [
      ['client', 'client-1'],
      ['gateway', 'gateway-1'],
      ['custodian', 'custodian-1'],
      ['owner', 'owner'],
    ] as const) {
      const store = await openKeyStore(fleet.role(directory));
      keys.set(role, await store.signing());
      store.close();
    }
    const bearer = new BearerTokens(new StoredTokens(context.store.state));
    for (const role of ['operator', 'viewer'] as const) {
      tokens.set(role, (await bearer.create(`a ${role}`, role, 1)).token);
    }
  });
  after(() => fleet.stop());

  async function send(
    route: string,
    role: Role | undefined,
  ): Promise<{ readonly status: number; readonly code: unknown }> {
    const [method, pattern] = route.split(' ') as [string, string];
    const { address } = fleet.service;
    const url = new URL(pathOf(pattern), address);
    const body = method === 'GET' ? undefined : new Uint8Array(randomBytes(16));
    const integrity = bodyIntegrityOf(accessOf(SERVICE_ACCESS, method, pattern), method);
    const contentDigest =
      body !== undefined && integrity === 'content-digest' ? contentDigestOf(body) : undefined;
    const key = role === undefined ? undefined : keys.get(role);
    const token = role === undefined ? undefined : tokens.get(role);
    const signed =
      key === undefined
        ? {}
        : await signRequest(
            key,
            { method, target: url.pathname, authority: url.host, contentDigest },
            Date.now(),
          );
    const stop = new AbortController();
    const response = await fetch(url, {
      method,
      headers: {
        ...(body !== undefined && { 'content-type': 'application/octet-stream' }),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...signed,
      },
      signal: stop.signal,
      ...(body !== undefined && { body }),
    });
    const { status } = response;
    const text = status >= 400 ? await response.text() : '';
    stop.abort();
    return { status, code: text === '' ? undefined : (JSON.parse(text) as { code?: string }).code };
  }

  it('is as the table of this test has it, route for route', () => {
    const actual = Object.fromEntries(
      Object.entries(SERVICE_ACCESS).map(([route, { allow }]) => [route, allow]),
    );
    expect(actual).to.deep.equal(EXPECTED);
    expect(Object.values(DOCUMENTATION_ACCESS).every(({ allow }) => allow === 'anybody')).to.equal(true);
  });

  for (const [route, allowed] of Object.entries(EXPECTED)) {
    it(`${route}: ${allowed === 'anybody' ? 'anybody' : allowed.join(', ')}, and nobody else`, async () => {
      const nobody = await send(route, undefined);
      if (allowed === 'anybody') expect(nobody.status).not.to.be.oneOf([401, 403]);
      else expect([nobody.status, nobody.code]).to.deep.equal([401, 'auth.required']);
      if (allowed === 'anybody') return;
      for (const role of ROLES) {
        const { status, code } = await send(route, role);
        if (allowed.includes(role)) expect(status, `${role}: ${String(code)}`).not.to.be.oneOf([401, 403]);
        else expect([status, code], role).to.deep.equal([403, 'auth.forbidden']);
      }
    });
  }
});
