/** Rounds: planning one, and what becomes of it. */
import { z } from 'zod';
import { RefusedError } from '../../errors.js';
import { hex } from '../../package/messages/common.js';
import { hasEnded } from '../../round/machine/phases.js';
import type { AccessTable } from '../auth/access.js';
import { MAX_PLAN_BYTES, type ServerContext } from '../context.js';
import { readAll, sendStored, streamOf } from '../files/bodies.js';
import type { App } from '../http/app-type.js';
import { idParam, planParams } from '../http/params.js';
import { fileBodies } from '../openapi/route-bodies.js';
import { cohortKey, cohortSchema } from '../rounds/cohorts.js';
import { openRound } from '../rounds/opening-rounds.js';
import { roundStatus, roundStatusSchema, roundSummarySchema } from '../rounds/round-status.js';
import { readFileRecord } from '../rounds/stored-round.js';
import { changeJson, readJson } from '../state/json-state.js';
import { requireFound } from './found.js';

export const ROUND_ACCESS: AccessTable = {
  'PUT /v1/rounds/:plan/plan': { allow: ['owner'], body: 'named-by-path' },
  'GET /v1/rounds/:plan/plan': { allow: ['client', 'gateway', 'custodian', 'owner'] },
  'GET /v1/rounds': { allow: ['client', 'gateway', 'custodian', 'owner', 'operator', 'viewer'] },
  'GET /v1/rounds/:plan': { allow: ['client', 'gateway', 'custodian', 'owner', 'operator', 'viewer'] },
  'POST /v1/rounds/:plan/abort': { allow: ['owner', 'operator'] },
  'PUT /v1/cohorts/:cohort': { allow: ['owner'] },
  'GET /v1/cohorts/:cohort': { allow: ['owner', 'operator', 'viewer'] },
};

const cohortParams = z.strictObject({ cohort: idParam });
const listQuery = z.strictObject({
  limit: z
    .string()
    .regex(/^[1-9][0-9]{0,2}$/)
    .transform(Number)
    .optional(),
  running: z.enum(['true', 'false']).optional(),
});
const abortSchema = z.strictObject({ reason: z.string().min(1).max(512) });

const DEFAULT_LIST = 50;

export function registerRoundRoutes(app: App, context: ServerContext): void {
  const { store, fleet, rounds, index } = context;

  app.put(
    '/v1/rounds/:plan/plan',
    {
      bodyLimit: MAX_PLAN_BYTES,
      config: fileBodies({ takes: 'The plan (.tgp)' }),
      schema: {
        summary: 'Open a round with its plan (.tgp)',
        tags: ['rounds'],
        params: planParams,
        response: { 200: roundStatusSchema, 201: roundStatusSchema },
      },
    },
    async (request, reply) => {
      const { plan: name } = request.params;
      const bytes = await readAll(streamOf(request), MAX_PLAN_BYTES);
      const plan = await fleet.plan(bytes);
      if (hex(plan.fingerprint) !== name) {
        throw new RefusedError(
          'upload.other-fingerprint',
          'The plan has another fingerprint than the path names. Name the one that it has.',
        );
      }
      const { state, isNew } = await openRound(context, plan, bytes);
      return reply.code(isNew ? 201 : 200).send(roundStatus(name, state));
    },
  );

  app.get(
    '/v1/rounds/:plan/plan',
    {
      config: fileBodies({ gives: 'The plan (.tgp)' }),
      schema: { summary: 'The plan of a round', tags: ['rounds'], params: planParams },
    },
    async (request, reply) => {
      const record = requireFound(await readFileRecord(store.state, 'plan', request.params.plan), 'plan');
      return sendStored(request, reply, store.blobs, record);
    },
  );

  app.get(
    '/v1/rounds',
    {
      schema: {
        summary: 'Rounds, the latest first',
        tags: ['rounds'],
        querystring: listQuery,
        response: { 200: z.object({ rounds: z.array(roundSummarySchema) }) },
      },
    },
    async (request) => {
      const { limit = DEFAULT_LIST, running } = request.query;
      await index.refresh();
      const found = index
        .summaries()
        .filter(({ phase }) => running === undefined || hasEnded(phase) !== (running === 'true'));
      return { rounds: found.slice(0, limit) };
    },
  );

  app.get(
    '/v1/rounds/:plan',
    {
      schema: {
        summary: 'A round: who has sent, what was refused and why, who has answered',
        tags: ['rounds'],
        params: planParams,
        response: { 200: roundStatusSchema },
      },
    },
    async ({ params }) => roundStatus(params.plan, await rounds.require(params.plan)),
  );

  app.post(
    '/v1/rounds/:plan/abort',
    {
      schema: {
        summary: 'End a round without a sum; its close record is still the owner’s to make',
        tags: ['rounds'],
        params: planParams,
        body: abortSchema,
        response: { 200: roundStatusSchema },
      },
    },
    async ({ params, body }) => {
      const event = { type: 'abort', reason: body.reason, atMs: Date.now() } as const;
      return roundStatus(params.plan, await rounds.send(params.plan, event));
    },
  );

  app.put(
    '/v1/cohorts/:cohort',
    {
      schema: {
        summary: 'Which clients belong to a cohort, for the rounds that are planned from now on',
        tags: ['rounds'],
        params: cohortParams,
        body: cohortSchema,
        response: { 200: cohortSchema },
      },
    },
    async ({ params, body }) => {
      await changeJson(store.state, cohortSchema, cohortKey(params.cohort), () => body);
      return body;
    },
  );

  app.get(
    '/v1/cohorts/:cohort',
    {
      schema: {
        summary: 'The clients of a cohort',
        tags: ['rounds'],
        params: cohortParams,
        response: { 200: cohortSchema },
      },
    },
    async ({ params }) =>
      requireFound(await readJson(store.state, cohortSchema, cohortKey(params.cohort)), 'cohort').value,
  );
}
