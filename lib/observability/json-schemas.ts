/** The formats that others write or read, as JSON Schema: what `schemas/` holds and the server serves. */
import { z } from 'zod';
import { CUSTODY_STATUS_SCHEMA_VERSION, custodyStatusSchema } from './custody-status.js';
import { RECORD_SCHEMA_VERSION } from './record-fields.js';
import { recordSchema } from './records.js';
import { ROBOT_REPORT_SCHEMA_VERSION, robotReportSchema } from './robot-report.js';

export const PUBLISHED_SCHEMAS = ['record', 'robot-report', 'custody-status'] as const;
export type PublishedSchema = (typeof PUBLISHED_SCHEMAS)[number];

const SOURCES: Readonly<
  Record<PublishedSchema, { readonly title: string; readonly version: string; readonly schema: z.ZodType }>
> = {
  record: {
    title: 'A record of TensorGuard: one line of its JSONL files',
    version: RECORD_SCHEMA_VERSION,
    schema: recordSchema,
  },
  'robot-report': {
    title: 'What a robot reports of itself',
    version: ROBOT_REPORT_SCHEMA_VERSION,
    schema: robotReportSchema,
  },
  'custody-status': {
    title: 'What a custodian reports of its keys',
    version: CUSTODY_STATUS_SCHEMA_VERSION,
    schema: custodyStatusSchema,
  },
};

/**
 * Draft 2020-12. What one field says about another (no more successes than episodes) is beyond it, and is checked by whoever
 * reads.
 */
export function jsonSchemaOf(name: PublishedSchema): Readonly<Record<string, unknown>> {
  const { title, version, schema } = SOURCES[name];
  const { $schema, ...rest } = z.toJSONSchema(schema);
  return { $schema, $id: `urn:tensorguard:${name}:${version}`, title, ...rest };
}

/** As the file has it. */
export function jsonSchemaText(name: PublishedSchema): string {
  return `${JSON.stringify(jsonSchemaOf(name), null, 2)}\n`;
}
