/** Updates: sending one, as a whole or in chunks, and asking what became of it. */
import { z } from 'zod';
import { RefusedError, type TensorGuardError, VerificationError } from '../../errors.js';
import { CHUNK_BYTES } from '../../package/layout.js';
import { oneLine } from '../../package/one-line.js';
import type { RoundEvent } from '../../round/machine/events.js';
import { acceptedUpdates, type RoundState, sentUpdates } from '../../round/machine/state.js';
import type { AccessTable } from '../auth/access.js';
import { planOf, type ServerContext } from '../context.js';
import { declaredBytes, readAll, sendStored, streamOf } from '../files/bodies.js';
import type { App } from '../http/app-type.js';
import { actorOf } from '../http/gatekeeper.js';
import { chunkParams, updateParams } from '../http/params.js';
import { fileBodies } from '../openapi/route-bodies.js';
import { keptUpload, requireKept } from '../rounds/kept-files.js';
import { statisticsOf } from '../rounds/reported-statistics.js';
import { MAX_ENVELOPE_BYTES, type Upload, type UploadTarget } from '../rounds/update-intake.js';
import { requireFound } from './found.js';

const MAX_REASON_CHARACTERS = 2048;

const UPDATE = '/v1/rounds/:plan/updates/:fingerprint';

export const UPDATE_ACCESS: AccessTable = {
  [`PUT ${UPDATE}`]: { allow: ['client'], body: 'named-by-path' },
  [`PUT ${UPDATE}/envelope`]: { allow: ['client'], body: 'named-by-path' },
  [`PUT ${UPDATE}/chunks/:chunk`]: { allow: ['client'], body: 'named-by-path' },
  [`POST ${UPDATE}/complete`]: { allow: ['client'] },
  [`GET ${UPDATE}`]: { allow: ['client', 'owner', 'operator', 'viewer'] },
  [`GET ${UPDATE}/file`]: { allow: ['owner'] },
};

/** No update is larger than a roster can allow; the roster's own ceiling is checked before the body is read. */
const MAX_UPDATE_BYTES = 2 ** 36;

/** What a round has refused with one of these it refuses for ever. */
const FINAL_REFUSALS: ReadonlySet<string> = new Set([
  'round.client-not-eligible',
  'round.full',
  'round.late',
  'round.second-update',
  'round.too-many-replacements',
  'round.too-stale',
]);

const progressSchema = z.object({
  state: z
    .enum(['incomplete', 'complete', 'received', 'accepted', 'left-out', 'replaced'])
    .describe(
      'received: it is in the round; accepted: it is in the sum; left-out: it is not, for the reason given',
    ),
  missing: z.array(z.int()).describe('Numbers of chunks that have not arrived'),
  code: z.string().optional(),
  reason: z.string().optional(),
});
type Progress = z.infer<typeof progressSchema>;

/** @param client whose update it is: what others sent under its fingerprint says nothing about it */
function progressOf(
  state: RoundState,
  { client, fingerprint }: Pick<UploadTarget, 'client' | 'fingerprint'>,
  missing: readonly number[],
): Progress {
  const sent = sentUpdates(state).find(({ update }) => update.fingerprint === fingerprint);
  if (sent?.update.refused !== undefined) return { state: 'left-out', missing: [], ...sent.update.refused };
  if (acceptedUpdates(state).some(({ update }) => update.fingerprint === fingerprint)) {
    return { state: 'accepted', missing: [] };
  }
  if (sent !== undefined) return { state: 'received', missing: [] };
  const refusal = state.refusals.find((each) => each.fingerprint === fingerprint && each.client === client);
  const why = refusal === undefined ? {} : { code: refusal.code, reason: refusal.reason };
  // An attempt that did not hold is no verdict: what is missing can still be sent.
  if (missing.length > 0) return { state: 'incomplete', missing: [...missing], ...why };
  return { state: refusal === undefined ? 'complete' : 'left-out', missing: [], ...why };
}

export function registerUpdateRoutes(app: App, context: ServerContext): void {
  const { rounds, intake, store } = context;

  async function targetOf(
    request: Parameters<typeof actorOf>[0],
    params: z.infer<typeof updateParams>,
  ): Promise<UploadTarget> {
    const { plan: planHex, fingerprint } = params;
    const client = actorOf(request).id;
    return {
      ...{ planHex, client, fingerprint },
      plan: await planOf(context, planHex),
      admit: async (envelope) => {
        const event = receivedEvent({ client, fingerprint }, envelope);
        await rounds.check(planHex, event).catch(async (error: unknown) => {
          // Sent, it is noted as well; only where nothing can make the round take an update whose body was never read.
          if (error instanceof RefusedError && FINAL_REFUSALS.has(error.code))
            await rounds.send(planHex, event);
          throw error;
        });
      },
    };
  }

  /** Refusals of a client's own, authenticated upload are kept: who sent it is told, and whoever looks at the round. */
  async function noting<T>(target: UploadTarget, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const isNoted = error instanceof RefusedError && error.code.startsWith('round.');
      if (!isNoted && (error instanceof RefusedError || error instanceof VerificationError)) {
        await note(target, error);
      }
      throw error;
    }
  }

  async function note(
    { planHex, client, fingerprint }: UploadTarget,
    error: TensorGuardError,
  ): Promise<void> {
    const reason = oneLine(error.message, MAX_REASON_CHARACTERS);
    const event = {
      type: 'update-refused',
      client,
      fingerprint,
      code: error.code,
      reason,
      atMs: Date.now(),
    } as const;
    // A round that has ended takes no notes; the client has its answer either way.
    await rounds.send(planHex, event).catch((failure: unknown) => {
      if (!(failure instanceof RefusedError)) throw failure;
    });
  }

  async function receive(target: UploadTarget, { envelope }: Upload): Promise<RoundState> {
    return rounds.send(target.planHex, receivedEvent(target, envelope));
  }

  function receivedEvent(
    { client, fingerprint }: Pick<UploadTarget, 'client' | 'fingerprint'>,
    envelope: Upload['envelope'],
  ): RoundEvent {
    const { staleness, safety } = envelope.body;
    const statistics = statisticsOf(safety);
    return {
      type: 'update-received',
      client,
      fingerprint,
      ...(staleness !== undefined && { stalenessRounds: staleness }),
      ...(statistics !== undefined && { statistics }),
      atMs: Date.now(),
    };
  }

  app.put(
    UPDATE,
    {
      bodyLimit: MAX_UPDATE_BYTES,
      config: fileBodies({ takes: 'The update (.tgu)' }),
      schema: {
        summary: 'Send an update (.tgu) as a whole',
        tags: ['updates'],
        params: updateParams,
        response: { 201: progressSchema },
      },
    },
    async (request, reply) => {
      const target = await targetOf(request, request.params);
      const body = streamOf(request);
      const upload = await noting(target, () => intake.whole(target, body, declaredBytes(request)));
      const state = await receive(target, upload);
      return reply.code(201).send(progressOf(state, target, []));
    },
  );

  app.put(
    `${UPDATE}/envelope`,
    {
      bodyLimit: MAX_ENVELOPE_BYTES,
      config: fileBodies({ takes: 'The file up to its first section' }),
      schema: {
        summary: 'Begin an update that is sent in chunks, with its envelope',
        tags: ['updates'],
        params: updateParams,
        response: { 200: progressSchema },
      },
    },
    async (request) => {
      const target = await targetOf(request, request.params);
      const bytes = await readAll(streamOf(request), MAX_ENVELOPE_BYTES);
      const upload = await noting(target, () => intake.begin(target, bytes));
      const state = await rounds.require(target.planHex);
      return progressOf(state, target, await intake.missing(upload));
    },
  );

  async function ownUpload(
    request: Parameters<typeof actorOf>[0],
    plan: string,
    fingerprint: string,
  ): Promise<Upload> {
    const state = await rounds.require(plan);
    const upload = requireFound(await keptUpload(intake, plan, state, fingerprint), 'upload');
    requireOwn(request, upload.record.client);
    return upload;
  }

  function requireOwn(request: Parameters<typeof actorOf>[0], client: string): void {
    const actor = actorOf(request);
    if (actor.role === 'client' && client !== actor.id) {
      throw new RefusedError('auth.not-yours', 'The update is another client’s.');
    }
  }

  app.put(
    `${UPDATE}/chunks/:chunk`,
    {
      bodyLimit: CHUNK_BYTES,
      config: fileBodies({ takes: 'The chunk: 1 MiB, the last one of a section less' }),
      schema: {
        summary: 'Send one chunk: sections in mebibytes, numbered through',
        tags: ['updates'],
        params: chunkParams,
        response: { 204: z.null() },
      },
    },
    async (request, reply) => {
      const { plan, fingerprint, chunk } = request.params;
      const upload = await ownUpload(request, plan, fingerprint);
      await intake.chunk(upload, chunk, await readAll(streamOf(request), CHUNK_BYTES));
      return reply.code(204).send(null);
    },
  );

  app.post(
    `${UPDATE}/complete`,
    {
      schema: {
        summary: 'End an update that was sent in chunks: from here on it is in the round',
        tags: ['updates'],
        params: updateParams,
        response: { 201: progressSchema, 409: progressSchema },
      },
    },
    async (request, reply) => {
      const target = await targetOf(request, request.params);
      const upload = await ownUpload(request, target.planHex, target.fingerprint);
      const missing = await intake.missing(upload);
      if (missing.length > 0) return reply.code(409).send({ state: 'incomplete', missing: [...missing] });
      const state = await receive(target, upload);
      return reply.code(201).send(progressOf(state, target, []));
    },
  );

  app.get(
    UPDATE,
    {
      schema: {
        summary: 'What became of an update, and what is missing of it',
        tags: ['updates'],
        params: updateParams,
        response: { 200: progressSchema },
      },
    },
    async (request) => {
      const { plan, fingerprint } = request.params;
      const state = await rounds.require(plan);
      const sender = state.members.find(({ update }) => update?.fingerprint === fingerprint)?.client;
      if (sender !== undefined) {
        // What became of it the round knows, whether or not its bytes are still here.
        requireOwn(request, sender);
        return progressOf(state, { client: sender, fingerprint }, []);
      }
      const upload = await ownUpload(request, plan, fingerprint);
      const { client } = upload.record;
      return progressOf(state, { client, fingerprint }, await intake.missing(upload));
    },
  );

  app.get(
    `${UPDATE}/file`,
    {
      config: fileBodies({ gives: 'The update (.tgu)' }),
      schema: { summary: 'The update itself, for open --verify', tags: ['updates'], params: updateParams },
    },
    async (request, reply) => {
      const { plan, fingerprint } = request.params;
      const state = await rounds.require(plan);
      const upload = requireFound(await keptUpload(intake, plan, state, fingerprint), 'update');
      await requireKept(store.blobs, state, upload.file);
      return sendStored(request, reply, store.blobs, { file: upload.file, fingerprint });
    },
  );
}
