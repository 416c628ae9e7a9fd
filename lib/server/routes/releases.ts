/** Releases: stored and served as they are; the server cannot read them. */
import { z } from 'zod';
import { RefusedError } from '../../errors.js';
import { hex } from '../../package/messages/common.js';
import type { AccessTable } from '../auth/access.js';
import type { ServerContext } from '../context.js';
import { declaredBytes, sendStored, streamOf } from '../files/bodies.js';
import { storeVerified } from '../files/verified-file.js';
import type { App } from '../http/app-type.js';
import { idParam, releaseParams } from '../http/params.js';
import { type FileRecord, fileRecordSchema } from '../rounds/stored-round.js';
import { createJson, listJson, readJson } from '../state/json-state.js';
import { RELEASE_PREFIX } from '../state/keys.js';
import { requireFound } from './found.js';

export const RELEASE_ACCESS: AccessTable = {
  'PUT /v1/releases/:counter': { allow: ['owner'], body: 'named-by-path' },
  'GET /v1/releases': { allow: ['client', 'owner', 'operator', 'viewer'] },
  'GET /v1/releases/latest': { allow: ['client', 'owner'] },
  'GET /v1/releases/:counter': { allow: ['client', 'owner'] },
};

const MAX_RELEASE_BYTES = 2 ** 32;
/** The list of recipients is in the header. */
const MAX_RELEASE_ENVELOPE_BYTES = 17 << 20;

const releaseRecordSchema = fileRecordSchema.extend({
  counter: z.int(),
  policy: z.string(),
  plan: z.string().optional(),
});
type ReleaseRecord = z.infer<typeof releaseRecordSchema>;

const releaseSchema = z.object({
  counter: z.int(),
  fingerprint: z.string(),
  policy: z.string(),
  plan: z.string().optional(),
  atMs: z.int(),
});
const releaseListSchema = z.object({ releases: z.array(releaseSchema) });
export type ReleaseList = z.infer<typeof releaseListSchema>;
const latestQuery = z.strictObject({ policy: idParam.optional() });

function shown({ file: _, ...record }: ReleaseRecord): z.infer<typeof releaseSchema> {
  return record;
}

export function registerReleaseRoutes(app: App, context: ServerContext): void {
  const { store, fleet, rounds } = context;

  app.put(
    '/v1/releases/:counter',
    {
      bodyLimit: MAX_RELEASE_BYTES,
      schema: {
        summary: 'Publish a release (.tgr)',
        tags: ['releases'],
        params: releaseParams,
        response: { 201: releaseSchema },
      },
    },
    async (request, reply) => {
      const { counter } = request.params;
      const limits = { sizeBytes: declaredBytes(request), maxEnvelopeBytes: MAX_RELEASE_ENVELOPE_BYTES };
      const stored = await storeVerified(
        store.blobs,
        'release',
        streamOf(request),
        limits,
        async (envelope) => {
          const { body } = fleet.roster;
          await envelope.verify(body.owner.keys, body.signatureAlgorithms);
          if (envelope.body.counter !== counter || envelope.body.fleet !== body.fleet) {
            throw new RefusedError(
              'release.other-counter',
              'The release has another counter than the path names, or fleet.',
            );
          }
        },
      );
      const { policy, round } = stored.envelope.body;
      const record: ReleaseRecord = {
        fingerprint: hex(stored.envelope.fingerprint),
        file: [...stored.file],
        atMs: Date.now(),
        counter,
        policy,
        ...(round !== undefined && { plan: hex(round.plan) }),
      };
      const key = `${RELEASE_PREFIX}.${counter}`;
      if (!(await createJson(store.state, key, record))) {
        const earlier = await readJson(store.state, releaseRecordSchema, key);
        if (earlier?.value.fingerprint !== record.fingerprint) {
          throw new RefusedError('release.equivocation', `Another release has the counter ${counter}.`);
        }
      }
      if (record.plan !== undefined && (await rounds.read(record.plan)) !== undefined) {
        const event = { type: 'released', release: record.fingerprint, atMs: Date.now() } as const;
        await rounds.send(record.plan, event).catch((error: unknown) => {
          // A second release of a round, such as a rollback to it: the round had its own.
          if (!(error instanceof RefusedError)) throw error;
        });
      }
      return reply.code(201).send(shown(record));
    },
  );

  async function releases(policy?: string): Promise<ReleaseRecord[]> {
    const found: ReleaseRecord[] = [];
    for await (const { value } of listJson(store.state, releaseRecordSchema, RELEASE_PREFIX)) {
      if (policy === undefined || value.policy === policy) found.push(value);
    }
    return found.sort((a, b) => b.counter - a.counter);
  }

  app.get(
    '/v1/releases',
    {
      schema: {
        summary: 'Releases, the newest first',
        tags: ['releases'],
        querystring: latestQuery,
        response: { 200: releaseListSchema },
      },
    },
    async ({ query }) => ({ releases: (await releases(query.policy)).map(shown) }),
  );

  app.get(
    '/v1/releases/latest',
    { schema: { summary: 'The newest release', tags: ['releases'], querystring: latestQuery } },
    async (request, reply) => {
      const [newest] = await releases(request.query.policy);
      return sendStored(request, reply, store.blobs, requireFound<FileRecord>(newest, 'release'));
    },
  );

  app.get(
    '/v1/releases/:counter',
    { schema: { summary: 'A release', tags: ['releases'], params: releaseParams } },
    async (request, reply) => {
      const record = await readJson(
        store.state,
        releaseRecordSchema,
        `${RELEASE_PREFIX}.${request.params.counter}`,
      );
      return sendStored(request, reply, store.blobs, requireFound(record, 'release').value);
    },
  );
}
