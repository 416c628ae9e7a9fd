import { validate } from '@readme/openapi-parser';
import { expect } from 'chai';
import { z } from 'zod';
import { PAGE_ACCESS } from '../../../lib/server/routes/page.js';
import { SERVICE_ACCESS } from '../../../lib/server/service.js';
import { ServedTestFleet } from '../support/served-fleet.js';

/** Files of the dashboard's page are no API. */
const ROUTES = Object.entries(SERVICE_ACCESS).filter(([route]) => !Object.hasOwn(PAGE_ACCESS, route));

const OCTETS = 'application/octet-stream';
const mediaTypes = z.record(z.string(), z.looseObject({ schema: z.looseObject({}).optional() }));
const operation = z.looseObject({
  summary: z.string().min(3),
  security: z.array(z.record(z.string(), z.array(z.string()))).optional(),
  'x-roles': z.array(z.string()).min(1),
  parameters: z.array(z.looseObject({ in: z.string(), name: z.string() })).default([]),
  requestBody: z.looseObject({ content: mediaTypes }).optional(),
  responses: z.record(
    z.string(),
    z.looseObject({ content: mediaTypes.optional(), headers: z.record(z.string(), z.unknown()).optional() }),
  ),
});
const document = z.looseObject({
  openapi: z.string(),
  paths: z.record(z.string(), z.record(z.string(), operation)),
});
type Operation = z.infer<typeof operation>;

/** As OpenAPI writes it. */
function pathOf(route: string): string {
  return route.replace(/:(\w+)/g, '{$1}');
}

describe('the description of the API', function () {
  this.timeout(60_000);

  let fleet: ServedTestFleet;
  let text: string;
  let api: z.infer<typeof document>;
  before(async () => {
    fleet = await ServedTestFleet.create(3);
    const { address } = await fleet.start();
    text = await (await fetch(`${address}/openapi.json`)).text();
    api = document.parse(JSON.parse(text));
  });
  after(() => fleet.stop());

  function operationOf(route: string): Operation {
    const [method = '', path = ''] = route.split(' ');
    const found = api.paths[pathOf(path)]?.[method.toLowerCase()];
    if (found === undefined) throw new Error(`${route} is not described`);
    return found;
  }

  it('is valid OpenAPI 3.1', async () => {
    expect(api.openapi).to.match(/^3\.1\./);
    const result = await validate(JSON.parse(text) as Parameters<typeof validate>[0]);
    expect(result.valid, JSON.stringify(result)).to.equal(true);
  });

  it('fails that check where it is wrong', async () => {
    const broken = JSON.parse(text) as { paths: Record<string, Record<string, Record<string, unknown>>> };
    (broken.paths['/healthz']?.['get'] as Record<string, unknown>)['responses'] = 'none';
    const result = await validate(broken as unknown as Parameters<typeof validate>[0]);
    expect(result.valid).to.equal(false);
  });

  it('has every route of the service, with who may use it, and no other', () => {
    const described = Object.entries(api.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(described.sort()).to.deep.equal(ROUTES.map(([route]) => pathOf(route)).sort());
    for (const [route, { allow }] of ROUTES) {
      const { 'x-roles': roles, security } = operationOf(route);
      expect(roles, route).to.deep.equal([allow].flat());
      expect((security ?? []).length > 0, route).to.equal(allow !== 'anybody');
    }
  });

  it('names the parameters of each path, and says how refusals look', () => {
    for (const [route] of ROUTES) {
      const { parameters, responses } = operationOf(route);
      const named = parameters.filter((each) => each.in === 'path').map(({ name }) => name);
      expect(named.sort(), route).to.deep.equal(
        [...route.matchAll(/:(\w+)/g)].map(([, name]) => name).sort(),
      );
      expect(Object.keys(responses['default']?.content ?? {}), route).to.deep.equal([
        'application/problem+json',
      ]);
    }
  });

  it('says what each request’s body is: a file as bytes, or JSON', () => {
    const bodiless = ['POST /v1/rounds/:plan/updates/:fingerprint/complete'];
    for (const [route] of ROUTES) {
      const { requestBody } = operationOf(route);
      const hasBody = !route.startsWith('GET ') && !route.startsWith('DELETE ') && !bodiless.includes(route);
      expect(requestBody !== undefined, route).to.equal(hasBody);
      if (requestBody !== undefined) {
        const types = Object.keys(requestBody.content);
        expect([[OCTETS], ['application/json']], route).to.deep.include(types);
      }
    }
    const update = operationOf('PUT /v1/rounds/:plan/updates/:fingerprint').requestBody;
    expect(update?.content[OCTETS]?.schema).to.deep.include({ type: 'string', contentMediaType: OCTETS });
  });

  it('says what each answer is', () => {
    for (const [route] of ROUTES) {
      const answers = Object.entries(operationOf(route).responses).filter(([status]) =>
        status.startsWith('2'),
      );
      expect(answers.length, route).to.be.greaterThan(0);
      for (const [status, { content }] of answers) {
        if (status === '204') expect(content, route).to.equal(undefined);
        else {
          expect(Object.keys(content ?? {}), `${route} ${status}`).to.have.length(1);
          // What is not described is described as anything.
          const [{ schema = {} } = {}] = Object.values(content ?? {});
          expect(Object.keys(schema).length, `${route} ${status}`).to.be.greaterThan(0);
        }
      }
    }
  });

  it('tells of ranges and ETags where a file is served, as the server serves it', async () => {
    const { responses, parameters } = operationOf('GET /v1/roster');
    expect(Object.keys(responses)).to.include.members(['200', '206', '304', '416', 'default']);
    const headers = parameters.filter((each) => each.in === 'header').map(({ name }) => name.toLowerCase());
    expect(headers).to.include.members(['range', 'if-none-match']);
    expect(Object.keys(responses['206']?.headers ?? {})).to.include('content-range');
    const client = await fleet.api('client-1');
    const seen = await client.openStream('/v1/roster', { headers: { range: 'bytes=0-9' } });
    expect(seen.status).to.equal(206);
    for (const name of Object.keys(responses['206']?.headers ?? {}))
      expect(seen.headers.has(name), name).to.equal(true);
    expect(seen.headers.get('content-type')).to.equal(OCTETS);
    await seen.body?.cancel();
  });

  it('tells of the stream of events, and how it goes on after a cut', () => {
    const { responses, parameters } = operationOf('GET /v1/events');
    expect(Object.keys(responses['200']?.content ?? {})).to.deep.equal(['text/event-stream']);
    expect(parameters.map(({ name }) => name.toLowerCase())).to.include('last-event-id');
  });
});
