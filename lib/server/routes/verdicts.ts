/** Verdicts of the evaluation: stored as the owner signed them, and told to the rollout of the adapter that they are on. */
import { z } from 'zod';
import { RefusedError } from '../../errors.js';
import { hex } from '../../package/messages/common.js';
import { VERDICT_OUTCOMES } from '../../package/messages/verdict.js';
import { openContainer } from '../../package/reader.js';
import type { AccessTable } from '../auth/access.js';
import type { ServerContext } from '../context.js';
import { readAll, sendStored, streamOf } from '../files/bodies.js';
import { storeBytes } from '../files/stored-file.js';
import type { App } from '../http/app-type.js';
import { verdictParams } from '../http/params.js';
import { fileBodies } from '../openapi/route-bodies.js';
import type { VerdictRecord } from '../verdicts/verdict-book.js';
import { requireFound } from './found.js';

export const VERDICT_ACCESS: AccessTable = {
  'PUT /v1/verdicts/:fingerprint': { allow: ['owner'], body: 'named-by-path' },
  'GET /v1/verdicts/:fingerprint': { allow: ['client', 'owner', 'operator', 'viewer'] },
  'GET /v1/verdicts': { allow: ['owner', 'operator', 'viewer'] },
};

const MAX_VERDICT_BYTES = 1 << 20;

const verdictSchema = z.object({
  fingerprint: z.string(),
  candidate: z.string().describe('Fingerprint of the adapter that it is on'),
  baseline: z.string(),
  outcome: z.enum(VERDICT_OUTCOMES),
  attempt: z.int(),
  atMs: z.int(),
});

function shown({ file: _, ...record }: VerdictRecord): z.infer<typeof verdictSchema> {
  return record;
}

export function registerVerdictRoutes(app: App, context: ServerContext): void {
  const { store, fleet, verdicts, rollouts } = context;

  app.put(
    '/v1/verdicts/:fingerprint',
    {
      bodyLimit: MAX_VERDICT_BYTES,
      config: fileBodies({ takes: 'The verdict (.tgv)' }),
      schema: {
        summary: "The owner's verdict on an adapter (.tgv)",
        tags: ['rollouts'],
        params: verdictParams,
        response: { 201: verdictSchema },
      },
    },
    async (request, reply) => {
      const bytes = await readAll(streamOf(request), MAX_VERDICT_BYTES);
      const container = await openContainer(bytes, 'verdict');
      await container.close();
      const { owner, fleet: name, signatureAlgorithms } = fleet.roster.body;
      await container.verify(owner.keys, signatureAlgorithms);
      const fingerprint = hex(container.fingerprint);
      if (fingerprint !== request.params.fingerprint) {
        throw new RefusedError(
          'upload.other-fingerprint',
          'The verdict has another fingerprint than the path names. Name the one that it has.',
        );
      }
      if (container.body.fleet !== name) {
        throw new RefusedError(
          'verdict.other-fleet',
          'The verdict is of another fleet. Send it to that one.',
        );
      }
      const file = await storeBytes(store.blobs, bytes);
      const record = await verdicts.keep(container.body, fingerprint, file, Date.now());
      for (const policy of await rollouts.policies()) await rollouts.catchUp(policy);
      return reply.code(201).send(shown(record));
    },
  );

  app.get(
    '/v1/verdicts/:fingerprint',
    {
      config: fileBodies({ gives: 'The verdict (.tgv)' }),
      schema: { summary: 'A verdict (.tgv)', tags: ['rollouts'], params: verdictParams },
    },
    async (request, reply) => {
      const record = requireFound(await verdicts.find(request.params.fingerprint), 'verdict');
      return sendStored(request, reply, store.blobs, record);
    },
  );

  app.get(
    '/v1/verdicts',
    {
      schema: {
        summary: 'Verdicts, the last ones first',
        tags: ['rollouts'],
        response: { 200: z.object({ verdicts: z.array(verdictSchema) }) },
      },
    },
    async () => ({ verdicts: (await verdicts.list()).map(shown) }),
  );
}
