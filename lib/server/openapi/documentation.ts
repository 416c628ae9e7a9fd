/** The API's own description: OpenAPI 3.1 at /openapi.json, to browse at /docs. */
import swagger, { type FastifyDynamicSwaggerOptions } from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import { jsonSchemaTransform } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { type AccessTable, accessOf } from '../auth/access.js';
import { MACHINE_ROLES, PERSON_ROLES } from '../auth/actor.js';
import type { App } from '../http/app-type.js';
import { PROBLEM_MEDIA_TYPE, problemSchema } from '../problems/problem.js';
import { describedBodies } from './route-bodies.js';

const SIGNATURE_DESCRIPTION =
  'Machines sign each request with the Ed25519 key that the roster lists (HTTP Message Signatures, RFC 9421). The signature covers ' +
  '`@method`, `@authority`, `@path` and `@query`; and `content-digest` (RFC 9530, `sha-256`) where a body is sent that the path ' +
  'does not name by its fingerprint. Its parameters are `created`, `expires` (at most 60 s later), `nonce`, `keyid` (64 hexadecimal ' +
  'digits), `alg="ed25519"` and `tag="tensorguard-v1"`. A request has one signature, and each is used once.';

const TOKEN_DESCRIPTION =
  'People send `Authorization: Bearer tgt_...`. `tensorguard-native server token create` makes a token for an operator or a viewer.';

/** The documentation is public: it says what the source says. */
export const DOCUMENTATION_ACCESS: AccessTable = {
  'GET /openapi.json': { allow: 'anybody' },
  'GET /docs': { allow: 'anybody' },
  'GET /docs/': { allow: 'anybody' },
  'GET /docs/*': { allow: 'anybody' },
  'GET /docs/json': { allow: 'anybody' },
  'GET /docs/yaml': { allow: 'anybody' },
  'GET /docs/static/*': { allow: 'anybody' },
  'GET /docs/static/index.html': { allow: 'anybody' },
  'GET /docs/static/swagger-initializer.js': { allow: 'anybody' },
};

type Transform = NonNullable<FastifyDynamicSwaggerOptions['transform']>;

export async function installDocumentation(app: App, access: AccessTable, version: string): Promise<void> {
  const problem = {
    description: 'Refused or failed',
    content: { [PROBLEM_MEDIA_TYPE]: { schema: z.toJSONSchema(problemSchema) } },
  };
  const transform: Transform = (document) => {
    const { schema, url } = jsonSchemaTransform(document as Parameters<typeof jsonSchemaTransform>[0]);
    if (schema === undefined || schema['hide'] === true) return { schema: schema ?? { hide: true }, url };
    const { allow } = accessOf(access, [document.route.method].flat()[0] ?? 'GET', document.route.url);
    const security = securityOf(allow);
    const bodies = describedBodies(document.route.config?.bodies ?? {});
    const response = { ...responsesOf(schema, bodies.response), default: problem };
    const described = { ...schema, ...bodies.request, security, 'x-roles': [allow].flat(), response };
    return { schema: described as typeof schema, url };
  };
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'TensorGuard aggregation service', version, description: SIGNATURE_DESCRIPTION },
      components: {
        securitySchemes: {
          signature: { type: 'apiKey', in: 'header', name: 'Signature', description: SIGNATURE_DESCRIPTION },
          token: { type: 'http', scheme: 'bearer', description: TOKEN_DESCRIPTION },
        },
      },
    },
    transform,
  });
  await app.register(swaggerUi, { routePrefix: '/docs', staticCSP: true });
  app.get('/openapi.json', { schema: { hide: true } as object }, async () => app.swagger());
}

function responsesOf(schema: object, bodies: object): object {
  const own = 'response' in schema && typeof schema.response === 'object' ? schema.response : {};
  const all = { ...own, ...bodies };
  return Object.keys(all).length > 0 ? all : { 200: { description: 'Done' } };
}

function securityOf(allow: readonly string[] | 'anybody'): Record<string, string[]>[] {
  if (allow === 'anybody') return [];
  const some = (roles: readonly string[]): boolean => roles.some((role) => allow.includes(role));
  return [
    ...(some(MACHINE_ROLES) ? [{ signature: [] }] : []),
    ...(some(PERSON_ROLES) ? [{ token: [] }] : []),
  ];
}
