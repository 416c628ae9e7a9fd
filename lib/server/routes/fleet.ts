/** The roster, and machines that ask to be in it. */
import { z } from 'zod';
import { keyIdOf } from '../../package/keys.js';
import { hex, unixMsSchema } from '../../package/messages/common.js';
import { readEnrolment } from '../../round/enrolment/requests.js';
import type { AccessTable } from '../auth/access.js';
import type { ServerContext } from '../context.js';
import { readAll, sendStored, streamOf } from '../files/bodies.js';
import { blobOf, storeBytes } from '../files/stored-file.js';
import { EnrolmentRequests } from '../fleet/enrolment-requests.js';
import type { App } from '../http/app-type.js';
import { fileBodies } from '../openapi/route-bodies.js';
import { fileRecordSchema } from '../rounds/stored-round.js';
import { changeJson, readJson } from '../state/json-state.js';
import { ROSTER_KEY } from '../state/keys.js';
import { requireFound } from './found.js';

export const FLEET_ACCESS: AccessTable = {
  'GET /v1/roster': { allow: ['client', 'gateway', 'custodian', 'owner', 'operator', 'viewer'] },
  'PUT /v1/roster': { allow: ['owner'] },
  'POST /v1/enrolments': { allow: 'anybody', requestsPerMinute: 6, requestsPerMinuteOfAll: 120 },
  'GET /v1/enrolments': { allow: ['owner', 'operator'] },
  'GET /v1/enrolments/:enrolment': { allow: ['owner', 'operator'] },
};

/** A roster of 65,536 clients has some ten mebibytes. */
const MAX_ROSTER_BYTES = 32 << 20;
const MAX_ENROLMENT_BYTES = 64 << 10;

const enrolmentSchema = z.object({
  enrolment: z.string().describe('Its name here'),
  role: z.string(),
  id: z.string(),
  keyId: z.string().describe('Compare it with what the machine printed'),
  epoch: z.int().optional(),
  atMs: unixMsSchema,
});
const enrolmentParams = z.strictObject({ enrolment: z.string().regex(/^[0-9a-f]{64}$/) });
const rosterSchema = z.object({ version: z.int(), fingerprint: z.string() });

export function registerFleetRoutes(app: App, context: ServerContext): void {
  const { store, fleet, rollouts } = context;
  const requests = new EnrolmentRequests(store.state, () => fleet.roster.body);

  app.get(
    '/v1/roster',
    {
      config: fileBodies({ gives: 'The roster (.tgo)' }),
      schema: { summary: 'The newest roster (.tgo)', tags: ['fleet'] },
    },
    async (request, reply) => {
      const record = requireFound(await readJson(store.state, fileRecordSchema, ROSTER_KEY), 'roster');
      return sendStored(request, reply, store.blobs, record.value);
    },
  );

  app.put(
    '/v1/roster',
    {
      bodyLimit: MAX_ROSTER_BYTES,
      config: fileBodies({ takes: 'The roster (.tgo)' }),
      schema: { summary: 'The next roster (.tgo)', tags: ['fleet'], response: { 200: rosterSchema } },
    },
    async (request) => {
      const bytes = await readAll(streamOf(request), MAX_ROSTER_BYTES);
      await fleet.accept(bytes);
      const { fingerprint, body } = fleet.roster;
      const record = {
        fingerprint: hex(fingerprint),
        file: [...(await storeBytes(store.blobs, bytes))],
        atMs: Date.now(),
      };
      await changeJson(store.state, fileRecordSchema, ROSTER_KEY, () => record);
      for (const policy of await rollouts.policies()) await rollouts.catchUp(policy);
      return { version: body.version, fingerprint: hex(fingerprint) };
    },
  );

  app.post(
    '/v1/enrolments',
    {
      bodyLimit: MAX_ENROLMENT_BYTES,
      config: fileBodies({ takes: 'The request (.tge)' }),
      schema: {
        summary: 'Ask to be enrolled (.tge); the owner decides, and compares the key id',
        tags: ['fleet'],
        response: { 202: enrolmentSchema },
      },
    },
    async (request, reply) => {
      const bytes = await readAll(streamOf(request), MAX_ENROLMENT_BYTES);
      const { ownerKeyId, body: roster } = fleet.roster;
      const { body, file } = await readEnrolment(bytes, roster.fleet, ownerKeyId);
      const { digest } = blobOf(file);
      const record = {
        fingerprint: digest,
        file: [...(await storeBytes(store.blobs, file))],
        atMs: Date.now(),
        role: body.role,
        id: body.id,
        keyId: hex(keyIdOf(body.keys)),
        ...(body.epoch !== undefined && { epoch: body.epoch }),
      };
      await requests.keep(record);
      const { file: _, fingerprint, ...shown } = record;
      return reply.code(202).send({ enrolment: fingerprint, ...shown });
    },
  );

  app.get(
    '/v1/enrolments',
    {
      schema: {
        summary: 'Machines that ask to be enrolled',
        tags: ['fleet'],
        response: { 200: z.object({ enrolments: z.array(enrolmentSchema) }) },
      },
    },
    async () => {
      const enrolments = (await requests.list()).map(({ file: _, fingerprint, ...shown }) => ({
        enrolment: fingerprint,
        ...shown,
      }));
      return { enrolments };
    },
  );

  app.get(
    '/v1/enrolments/:enrolment',
    {
      config: fileBodies({ gives: 'The request (.tge)' }),
      schema: { summary: 'An enrolment, for fleet enroll', tags: ['fleet'], params: enrolmentParams },
    },
    async (request, reply) => {
      const { enrolment } = request.params;
      const record = (await requests.list()).find(({ fingerprint }) => fingerprint === enrolment);
      return sendStored(request, reply, store.blobs, requireFound(record, 'enrolment'));
    },
  );
}
