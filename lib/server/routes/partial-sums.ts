/** Partial sums: what a site's gateway sends in place of its robots' updates. */
import { z } from 'zod';
import type { AccessTable } from '../auth/access.js';
import { planOf, type ServerContext } from '../context.js';
import { declaredBytes, sendStored, streamOf } from '../files/bodies.js';
import type { App } from '../http/app-type.js';
import { actorOf } from '../http/gatekeeper.js';
import { updateParams } from '../http/params.js';
import { fileBodies } from '../openapi/route-bodies.js';
import { requireKept } from '../rounds/kept-files.js';
import { PartialSumIntake } from '../rounds/partial-sum-intake.js';
import { readFileRecord } from '../rounds/stored-round.js';
import { requireFound } from './found.js';

const PARTIAL_SUM = '/v1/rounds/:plan/partial-sums/:fingerprint';

export const PARTIAL_SUM_ACCESS: AccessTable = {
  [`PUT ${PARTIAL_SUM}`]: { allow: ['gateway'], body: 'named-by-path' },
  [`GET ${PARTIAL_SUM}/file`]: { allow: ['owner'] },
};

/** No round's updates are larger together; the plan's own ceiling is checked before the body is read. */
const MAX_PARTIAL_SUM_BYTES = 2 ** 40;

const takenSchema = z.object({
  contributors: z.array(z.object({ client: z.string(), update: z.string() })),
});

export function registerPartialSumRoutes(app: App, context: ServerContext): void {
  const { rounds, store, fleet } = context;
  const intake = new PartialSumIntake(store, fleet.policy);

  app.put(
    PARTIAL_SUM,
    {
      bodyLimit: MAX_PARTIAL_SUM_BYTES,
      config: fileBodies({ takes: 'The partial sum (.tgg)' }),
      schema: {
        summary: "Send a site's partial sum (.tgg); a later one replaces it, with at least the same clients",
        tags: ['updates'],
        params: updateParams,
        response: { 201: takenSchema },
      },
    },
    async (request, reply) => {
      const { plan: planHex, fingerprint } = request.params;
      const gateway = actorOf(request).id;
      const plan = await planOf(context, planHex);
      const target = { planHex, plan, gateway, fingerprint };
      const contributors = await intake.take(target, streamOf(request), declaredBytes(request));
      await rounds.send(planHex, {
        type: 'partial-sum-received',
        ...{ gateway, fingerprint, contributors },
        atMs: Date.now(),
      });
      return reply.code(201).send({
        contributors: contributors.map(({ client, fingerprint: update }) => ({ client, update })),
      });
    },
  );

  app.get(
    `${PARTIAL_SUM}/file`,
    {
      config: fileBodies({ gives: 'The partial sum (.tgg)' }),
      schema: {
        summary: 'The partial sum itself, for open --verify',
        tags: ['updates'],
        params: updateParams,
      },
    },
    async (request, reply) => {
      const { plan, fingerprint } = request.params;
      const state = await rounds.require(plan);
      const record = requireFound(
        await readFileRecord(store.state, 'partialSum', plan, fingerprint),
        'partial sum',
      );
      await requireKept(store.blobs, state, record.file);
      return sendStored(request, reply, store.blobs, record);
    },
  );
}
