/** The published formats: public, as the source is. */
import { z } from 'zod';
import { jsonSchemaOf, PUBLISHED_SCHEMAS } from '../../observability/json-schemas.js';
import type { AccessTable } from '../auth/access.js';
import type { App } from '../http/app-type.js';

export const SCHEMA_ACCESS: AccessTable = { 'GET /v1/schemas/:schema': { allow: 'anybody' } };

const schemaParams = z.strictObject({ schema: z.enum(PUBLISHED_SCHEMAS) });

export function registerSchemaRoutes(app: App): void {
  const schemas = new Map(PUBLISHED_SCHEMAS.map((name) => [name, JSON.stringify(jsonSchemaOf(name))]));
  app.get(
    '/v1/schemas/:schema',
    { schema: { summary: 'A published format, as JSON Schema', tags: ['records'], params: schemaParams } },
    async ({ params }, reply) => reply.type('application/schema+json').send(schemas.get(params.schema)),
  );
}
