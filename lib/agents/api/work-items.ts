/** What `GET /v1/work` tells each role to do. */
import { z } from 'zod';
import { idSchema, roundSchema, unixMsSchema, versionSchema } from '../../package/messages/common.js';
import { lineageSchema } from '../../round/machine/settings.js';

/** Paths and file names are made of it. */
export const fingerprintSchema = z
  .string()
  .regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hexadecimal digits');

const plan = fingerprintSchema;

/** Of a round that one of its clients has spoilt: the cohort is set up with these, and keeps where it came from. */
const halfCohortSchema = z.object({ clients: z.array(idSchema), lineage: lineageSchema });
export type HalfCohort = z.infer<typeof halfCohortSchema>;

const workItemSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('seal'),
    plan,
    policy: idSchema,
    cohort: idSchema,
    round: roundSchema,
    deadlineMs: unixMsSchema,
  }),
  z.object({
    kind: z.literal('collect'),
    plan,
    policy: idSchema,
    cohort: idSchema,
    round: roundSchema,
    deadlineMs: unixMsSchema,
    elsewhere: z.array(idSchema),
  }),
  z.object({ kind: z.literal('sent'), plan, update: fingerprintSchema, phase: z.string() }),
  z.object({ kind: z.literal('closed'), plan }),
  z.object({ kind: z.literal('answer'), plan, set: fingerprintSchema, aggregate: fingerprintSchema }),
  z.object({ kind: z.literal('open'), plan, answers: z.array(idSchema) }),
  z.object({ kind: z.literal('close-failed'), plan, reason: z.string() }),
  z.object({ kind: z.literal('release'), plan }),
  z.object({
    kind: z.literal('plan'),
    policy: idSchema,
    cohort: idSchema,
    round: roundSchema,
    notBeforeMs: unixMsSchema,
    half: halfCohortSchema.optional(),
  }),
  z.object({ kind: z.literal('suspend'), plan, clients: z.array(idSchema) }),
  z.object({
    kind: z.literal('rollback'),
    policy: idSchema,
    bad: versionSchema,
    to: versionSchema,
    adapterFingerprint: fingerprintSchema,
    withdrawn: z.array(fingerprintSchema),
  }),
]);

export type WorkItem = z.infer<typeof workItemSchema>;
export type WorkKind = WorkItem['kind'];
export type ItemOf<K extends WorkKind> = Extract<WorkItem, { kind: K }>;

const KINDS: readonly string[] = workItemSchema.options.map(({ shape }) => shape.kind.value);

/** Kinds that this version does not know are for later ones, and passed over. */
export const workSchema = z
  .object({ items: z.array(z.looseObject({ kind: z.string() })) })
  .transform(({ items }) => items.filter(({ kind }) => KINDS.includes(kind)))
  .pipe(z.array(workItemSchema));

export function itemsOf<K extends WorkKind>(items: readonly WorkItem[], kind: K): ItemOf<K>[] {
  return items.filter((item): item is ItemOf<K> => item.kind === kind);
}
