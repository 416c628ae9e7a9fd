/** From the sum to its opening: aggregates, custodians' answers, close records. */
import { z } from 'zod';
import { requireCustodian } from '../../custody/roster.js';
import { RefusedError } from '../../errors.js';
import { hex, textSchema } from '../../package/messages/common.js';
import { openContainer } from '../../package/reader.js';
import { type AccessTable, requireOwnId } from '../auth/access.js';
import { planOf, type ServerContext } from '../context.js';
import { readAll, sendStored, streamOf } from '../files/bodies.js';
import { storeBytes } from '../files/stored-file.js';
import type { App } from '../http/app-type.js';
import { answerParams, planParams } from '../http/params.js';
import { fileBodies } from '../openapi/route-bodies.js';
import { requireKept } from '../rounds/kept-files.js';
import { roundStatus, roundStatusSchema } from '../rounds/round-status.js';
import { keepFileRecord, readFileRecord } from '../rounds/stored-round.js';
import { requireFound } from './found.js';

const ANSWER = '/v1/rounds/:plan/answers/:custodian';

export const OPENING_ACCESS: AccessTable = {
  'GET /v1/rounds/:plan/aggregate': { allow: ['custodian', 'owner'] },
  [`PUT ${ANSWER}`]: { allow: ['custodian'] },
  [`POST ${ANSWER}/refusal`]: { allow: ['custodian'] },
  [`GET ${ANSWER}`]: { allow: ['owner'] },
  'PUT /v1/rounds/:plan/close': { allow: ['owner'] },
  'GET /v1/rounds/:plan/close': { allow: ['client', 'gateway', 'custodian', 'owner', 'operator', 'viewer'] },
};

/** A sum of n residues, sealed, with a header. */
const MAX_ANSWER_BYTES = 128 << 10;
/** 32 bytes for each update that was opened. */
const MAX_CLOSE_BYTES = 4 << 20;

const refusalSchema = z.strictObject({
  code: z
    .string()
    .regex(/^[a-z0-9-]+(\.[a-z0-9-]+)+$/)
    .max(64),
  reason: textSchema(2048),
});

export function registerOpeningRoutes(app: App, context: ServerContext): void {
  const { store, rounds } = context;

  /**
   * Stores a file before the round says that it has it, under its own fingerprint: whoever dies in between leaves a file that
   * nothing names, and never a round that names a file that is not there.
   */
  async function keep(
    bytes: Uint8Array,
    fingerprint: string,
    kind: 'answer' | 'close',
    ...names: readonly string[]
  ): Promise<void> {
    const file = await storeBytes(store.blobs, bytes);
    await keepFileRecord(store.state, { fingerprint, file, atMs: Date.now() }, kind, ...names, fingerprint);
  }

  app.get(
    '/v1/rounds/:plan/aggregate',
    {
      config: fileBodies({ gives: 'The aggregate (.tga)' }),
      schema: { summary: 'The sum of the round (.tga)', tags: ['opening'], params: planParams },
    },
    async (request, reply) => {
      const { plan } = request.params;
      const record = requireFound(await readFileRecord(store.state, 'aggregate', plan), 'aggregate');
      await requireKept(store.blobs, await rounds.require(plan), record.file);
      return sendStored(request, reply, store.blobs, record);
    },
  );

  app.put(
    ANSWER,
    {
      bodyLimit: MAX_ANSWER_BYTES,
      config: fileBodies({ takes: 'The answer (.tgs)' }),
      schema: {
        summary: 'A custodian’s answer (.tgs)',
        tags: ['opening'],
        params: answerParams,
        response: { 201: roundStatusSchema },
      },
    },
    async (request, reply) => {
      const { plan: name, custodian } = request.params;
      requireOwnId(request.actor, 'custodian', custodian);
      const bytes = await readAll(streamOf(request), MAX_ANSWER_BYTES);
      const plan = await planOf(context, name);
      const container = await openContainer(bytes, 'answer');
      await container.verify(
        requireCustodian(plan.roster, custodian).keys,
        plan.roster.body.signatureAlgorithms,
      );
      await container.verifySections();
      await container.close();
      const { body, fingerprint } = container;
      if (body.custodian !== custodian || hex(body.plan) !== name) {
        throw new RefusedError(
          'answer.wrong-field',
          'The answer is another custodian’s, or of another round.',
        );
      }
      const event = {
        type: 'answer-received',
        custodian,
        fingerprint: hex(fingerprint),
        set: hex(body.set),
        atMs: Date.now(),
      } as const;
      await rounds.check(name, event);
      await keep(bytes, event.fingerprint, 'answer', name, custodian);
      return reply.code(201).send(roundStatus(name, await rounds.send(name, event)));
    },
  );

  app.post(
    `${ANSWER}/refusal`,
    {
      schema: {
        summary: 'A custodian says that it does not answer, and why',
        tags: ['opening'],
        params: answerParams,
        body: refusalSchema,
        response: { 200: roundStatusSchema },
      },
    },
    async (request) => {
      const { plan, custodian } = request.params;
      requireOwnId(request.actor, 'custodian', custodian);
      const event = { type: 'answer-refused', custodian, ...request.body, atMs: Date.now() } as const;
      return roundStatus(plan, await rounds.send(plan, event));
    },
  );

  app.get(
    ANSWER,
    {
      config: fileBodies({ gives: 'The answer (.tgs)' }),
      schema: { summary: 'An answer, for the owner to open with', tags: ['opening'], params: answerParams },
    },
    async (request, reply) => {
      const { plan, custodian } = request.params;
      const { answers } = await rounds.require(plan);
      const given = answers.find((answer) => answer.custodian === custodian);
      const { fingerprint } = requireFound(given, 'answer');
      const record = requireFound(
        await readFileRecord(store.state, 'answer', plan, custodian, fingerprint),
        'answer',
      );
      return sendStored(request, reply, store.blobs, record);
    },
  );

  app.put(
    '/v1/rounds/:plan/close',
    {
      bodyLimit: MAX_CLOSE_BYTES,
      config: fileBodies({ takes: 'The close record (.tgc)' }),
      schema: {
        summary: 'The owner’s close record (.tgc): the last word on a round',
        tags: ['opening'],
        params: planParams,
        response: { 201: roundStatusSchema },
      },
    },
    async (request, reply) => {
      const { plan: name } = request.params;
      const bytes = await readAll(streamOf(request), MAX_CLOSE_BYTES);
      const plan = await planOf(context, name);
      const container = await openContainer(bytes, 'close');
      await container.verify(plan.roster.body.owner.keys, plan.roster.body.signatureAlgorithms);
      await container.close();
      const { body, fingerprint } = container;
      if (hex(body.plan) !== name)
        throw new RefusedError('close.another-plan', 'The close record is of another round.');
      const event = {
        type: 'closed',
        record: hex(fingerprint),
        opened: body.opened.map(hex),
        ...(body.set !== undefined && { set: hex(body.set) }),
        ...(body.reason !== undefined && { reason: body.reason }),
        atMs: Date.now(),
      } as const;
      await rounds.check(name, event);
      await keep(bytes, event.record, 'close', name);
      return reply.code(201).send(roundStatus(name, await rounds.send(name, event)));
    },
  );

  app.get(
    '/v1/rounds/:plan/close',
    {
      config: fileBodies({ gives: 'The close record (.tgc)' }),
      schema: { summary: 'The close record of a round', tags: ['opening'], params: planParams },
    },
    async (request, reply) => {
      const { plan } = request.params;
      const { record: fingerprint } = requireFound((await rounds.require(plan)).close, 'close record');
      const record = requireFound(
        await readFileRecord(store.state, 'close', plan, fingerprint),
        'close record',
      );
      return sendStored(request, reply, store.blobs, record);
    },
  );
}
