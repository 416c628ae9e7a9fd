/** Releases: stored and served as they are; the server cannot read them. */
import { z } from 'zod';
import { RefusedError } from '../../errors.js';
import { hex } from '../../package/messages/common.js';
import type { AccessTable } from '../auth/access.js';
import type { ServerContext } from '../context.js';
import { declaredBytes, sendStored, streamOf } from '../files/bodies.js';
import { storeVerified } from '../files/verified-file.js';
import type { App } from '../http/app-type.js';
import { actorOf } from '../http/gatekeeper.js';
import { idParam, releaseParams } from '../http/params.js';
import { fileBodies } from '../openapi/route-bodies.js';
import { type ReleaseRecord, releaseKey, releaseRecordSchema } from '../releases/release-book.js';
import { releaseListSchema, releaseSchema } from '../releases/shown-releases.js';
import { createJson, readJson } from '../state/json-state.js';
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

const latestQuery = z.strictObject({ policy: idParam.optional() });

function shown({ file: _, ...record }: ReleaseRecord): z.infer<typeof releaseSchema> {
  return record;
}

export function registerReleaseRoutes(app: App, context: ServerContext): void {
  const { store, fleet, rounds, releases, rollouts, offers } = context;

  app.put(
    '/v1/releases/:counter',
    {
      bodyLimit: MAX_RELEASE_BYTES,
      config: fileBodies({ takes: 'The release (.tgr)' }),
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
      // Of what there is before this one, where the store is from before there were histories.
      await offers.begin(policy);
      const key = releaseKey(counter);
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
      await offers.begin(policy);
      // A rollback's, for which a rollout waits.
      await rollouts.catchUp(policy);
      return reply.code(201).send(shown(record));
    },
  );

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
    async ({ query }) => {
      const listed = await releases.list(query.policy);
      const current = new Map<string, number | undefined>();
      for (const { policy } of listed) {
        if (!current.has(policy)) current.set(policy, await offers.currentCounter(policy));
      }
      return {
        releases: listed.map((record) => ({
          ...shown(record),
          current: current.get(record.policy) === record.counter,
        })),
      };
    },
  );

  app.get(
    '/v1/releases/latest',
    {
      config: fileBodies({ gives: 'The release (.tgr)' }),
      schema: {
        summary:
          'The release that the caller is to have: of a client, what the rollout offers it; otherwise the newest',
        tags: ['releases'],
        querystring: latestQuery,
      },
    },
    async (request, reply) => {
      const { role, id } = actorOf(request);
      const { policy } = request.query;
      const record =
        role === 'client' ? await offers.releaseFor(id, policy) : (await releases.list(policy))[0];
      return sendStored(request, reply, store.blobs, requireFound(record, 'release'));
    },
  );

  app.get(
    '/v1/releases/:counter',
    {
      config: fileBodies({ gives: 'The release (.tgr)' }),
      schema: { summary: 'A release', tags: ['releases'], params: releaseParams },
    },
    async (request, reply) => {
      const record = requireFound(await releases.find(request.params.counter), 'release');
      const { role, id } = actorOf(request);
      if (role === 'client') await offers.requireOffered(id, record);
      return sendStored(request, reply, store.blobs, record);
    },
  );
}
