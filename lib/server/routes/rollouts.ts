/** Rollouts: starting one, what becomes of it, and what people decide. */
import { z } from 'zod';
import { RefusedError } from '../../errors.js';
import type { RolloutEvent } from '../../rollout/events.js';
import { PAUSE_REASONS, type RolloutState } from '../../rollout/state.js';
import type { AccessTable } from '../auth/access.js';
import type { ServerContext } from '../context.js';
import type { App } from '../http/app-type.js';
import { actorOf } from '../http/gatekeeper.js';
import { idParam, rolloutParams } from '../http/params.js';
import { planOfRequest, startRolloutSchema } from '../rollouts/plan-request.js';
import { type PolicyRollouts, requireLatest } from '../rollouts/policy-rollouts.js';
import {
  type RolloutStatus,
  rolloutStatus,
  rolloutStatusSchema,
  rolloutSummary,
  rolloutSummarySchema,
} from '../rollouts/rollout-status.js';
import { requireFound } from './found.js';

const ROLLOUT = '/v1/rollouts/:rollout';

export const ROLLOUT_ACCESS: AccessTable = {
  'POST /v1/rollouts': { allow: ['owner', 'operator'] },
  'GET /v1/rollouts': { allow: ['owner', 'operator', 'viewer'] },
  [`GET ${ROLLOUT}`]: { allow: ['owner', 'operator', 'viewer'] },
  [`POST ${ROLLOUT}/pause`]: { allow: ['owner', 'operator'] },
  [`POST ${ROLLOUT}/resume`]: { allow: ['owner', 'operator'] },
  [`POST ${ROLLOUT}/promote`]: { allow: ['owner', 'operator'] },
  [`POST ${ROLLOUT}/abort`]: { allow: ['owner', 'operator'] },
  [`POST ${ROLLOUT}/rollback`]: { allow: ['owner', 'operator'] },
};

const rolloutListSchema = z.object({ rollouts: z.array(rolloutSummarySchema) });
export type RolloutList = z.infer<typeof rolloutListSchema>;
const listQuery = z.strictObject({ policy: idParam.optional() });
/** What a command has to name, so that what its sender did not see is not waved through. */
const nothingSchema = z.strictObject({});
const resumeSchema = z.strictObject({ reason: z.enum(PAUSE_REASONS).describe('For which it is paused') });
const promoteSchema = z.strictObject({ fromStep: z.int().min(0).max(99).describe('The step to leave') });

function latestStatus(record: PolicyRollouts, counter: number): RolloutStatus {
  return rolloutStatus(requireLatest(record, counter), record.alerts);
}

export function registerRolloutRoutes(app: App, context: ServerContext): void {
  const { fleet, rollouts, releases, verdicts, offers } = context;

  /** Of the policy whose release it is. @throws RefusedError `request.not-found` */
  async function policyOf(counter: number): Promise<string> {
    return requireFound(await releases.find(counter), 'rollout').policy;
  }

  app.post(
    '/v1/rollouts',
    {
      schema: {
        summary: 'Start the rollout of a release; it waits for a passed verdict on its adapter',
        tags: ['rollouts'],
        body: startRolloutSchema,
        response: { 201: rolloutStatusSchema },
      },
    },
    async (request, reply) => {
      const { body } = request;
      requireGated();
      const release = requireFound(await releases.find(body.release), 'release');
      const { policy: policyName } = release;
      await offers.begin(policyName);
      const facts = await releases.facts(release);
      const before = requireFound(await rollouts.read(policyName), 'history');
      const active = fleet.roster.body.clients
        .filter(({ status }) => status === 'active')
        .map(({ id }) => id);
      const plan = planOfRequest(body, {
        fleet: fleet.roster.body.fleet,
        ...{ policyName, policy: fleet.policy, release: facts, active },
        previous: previousOf(before, body.release),
      });
      const verdict = await verdicts.on(plan.release.adapterFingerprint);
      const { override, supersede = false } = body;
      const record = await rollouts.start(policyName, {
        ...{ plan, supersede, atMs: Date.now() },
        ...(override !== undefined && { override: { adapterFingerprint: override } }),
        ...(verdict !== undefined && { verdict: { outcome: verdict.outcome, verdict: verdict.fingerprint } }),
      });
      const { kind, id } = actorOf(request);
      request.log.info({ rollout: body.release, policy: policyName, by: `${kind} ${id}` }, 'rollout started');
      return reply.code(201).send(latestStatus(record, body.release));
    },
  );

  app.get(
    '/v1/rollouts',
    {
      schema: {
        summary: 'Rollouts, the newest first',
        tags: ['rollouts'],
        querystring: listQuery,
        response: { 200: rolloutListSchema },
      },
    },
    async ({ query }) => {
      const policies = query.policy === undefined ? await rollouts.policies() : [query.policy];
      const states: RolloutState[] = [];
      for (const policy of policies) states.push(...(await rollouts.list(policy)));
      states.sort((a, b) => b.plan.release.counter - a.plan.release.counter);
      return { rollouts: states.map(rolloutSummary) };
    },
  );

  app.get(
    ROLLOUT,
    {
      schema: {
        summary: 'A rollout: its steps, analysis, who runs what against what is expected, alerts',
        tags: ['rollouts'],
        params: rolloutParams,
        response: { 200: rolloutStatusSchema },
      },
    },
    async ({ params }) => {
      const policy = await policyOf(params.rollout);
      const states = await rollouts.list(policy);
      const state = states.find(({ plan }) => plan.release.counter === params.rollout);
      const alerts = (await rollouts.read(policy))?.alerts ?? [];
      return rolloutStatus(requireFound(state, 'rollout'), alerts);
    },
  );

  function command<B extends z.ZodType>(
    name: 'pause' | 'resume' | 'promote' | 'abort' | 'rollback',
    summary: string,
    body: B,
    event: (body: z.infer<B>, atMs: number) => RolloutEvent,
  ): void {
    app.post(
      `${ROLLOUT}/${name}`,
      {
        schema: {
          ...{ summary, body, params: rolloutParams, tags: ['rollouts'] },
          response: { 200: rolloutStatusSchema },
        },
      },
      async (request) => {
        const { rollout } = request.params;
        const { kind, id } = actorOf(request);
        const change = event(request.body as z.infer<B>, Date.now());
        const record = await rollouts.command(await policyOf(rollout), rollout, change);
        request.log.info({ rollout, command: name, by: `${kind} ${id}` }, 'rollout command');
        return latestStatus(record, rollout);
      },
    );
  }

  command('pause', 'Offer the release to nobody more', nothingSchema, (_, atMs) => ({ type: 'pause', atMs }));
  command('resume', 'Go on with the step', resumeSchema, ({ reason }, atMs) => ({
    ...{ type: 'resume', atMs, reason },
  }));
  command('promote', 'Go to the next step now', promoteSchema, ({ fromStep }, atMs) => ({
    ...{ type: 'promote', atMs, fromStep },
  }));
  command('abort', 'Give the release up', nothingSchema, (_, atMs) => ({ type: 'abort', atMs }));
  command('rollback', 'Go back to the release before', nothingSchema, (_, atMs) => ({
    type: 'rollback',
    atMs,
  }));

  /** @throws RefusedError `rollout.releases-immediate` */
  function requireGated(): void {
    if (offers.mode === 'gated') return;
    throw new RefusedError(
      'rollout.releases-immediate',
      'This service gives every release to the whole fleet at once (--releases immediate), so there is nothing to roll out.',
    );
  }
}

/** What a rollout goes back to: what the fleet runs, or, of one that exists already, what it went back to from the beginning. */
function previousOf(
  { latest, history }: PolicyRollouts,
  counter: number,
): PolicyRollouts['history']['current'] {
  return latest?.plan.release.counter === counter ? latest.plan.previous : history.current;
}
