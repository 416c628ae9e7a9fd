/** What the caller has to do now: agents ask for this, and for nothing else, to find out. */
import { z } from 'zod';
import { outstandingEffects as outstandingRolloutEffects } from '../../rollout/status.js';
import { outstandingEffects } from '../../round/machine/effects.js';
import { lineageSchema } from '../../round/machine/settings.js';
import { type RoundState, sentUpdates } from '../../round/machine/state.js';
import type { AccessTable } from '../auth/access.js';
import type { Actor } from '../auth/actor.js';
import type { ServerContext } from '../context.js';
import type { App } from '../http/app-type.js';
import { actorOf } from '../http/gatekeeper.js';

export const WORK_ACCESS: AccessTable = {
  'GET /v1/work': { allow: ['client', 'gateway', 'custodian', 'owner'] },
};

const plan = z.string();
export const workItemSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('seal'),
    plan,
    fleet: z.string(),
    policy: z.string(),
    cohort: z.string(),
    round: z.int(),
    deadlineMs: z.int(),
  }),
  z.object({
    kind: z.literal('collect'),
    plan,
    ...{ fleet: z.string(), policy: z.string(), cohort: z.string(), round: z.int(), deadlineMs: z.int() },
    elsewhere: z
      .array(z.string())
      .describe('Clients whose update came another way: a partial sum that holds one of theirs is refused'),
  }),
  z.object({ kind: z.literal('sent'), plan, update: z.string(), phase: z.string() }),
  z.object({ kind: z.literal('closed'), plan }),
  z.object({ kind: z.literal('answer'), plan, set: z.string(), aggregate: z.string() }),
  z.object({ kind: z.literal('open'), plan, answers: z.array(z.string()) }),
  z.object({ kind: z.literal('close-failed'), plan, reason: z.string() }),
  z.object({ kind: z.literal('release'), plan }),
  z.object({
    kind: z.literal('plan'),
    policy: z.string(),
    cohort: z.string(),
    round: z.int(),
    notBeforeMs: z.int(),
    half: z
      .object({ clients: z.array(z.string()), lineage: lineageSchema })
      .optional()
      .describe('Of a burnt round: set the cohort up first (PUT /v1/cohorts)'),
  }),
  z.object({ kind: z.literal('suspend'), plan, clients: z.array(z.string()) }),
  z
    .object({
      kind: z.literal('rollback'),
      policy: z.string(),
      bad: z.int().describe('Counter of the release that is rolled back'),
      to: z.int().describe('Counter of the release to go back to'),
      adapterFingerprint: z.string().describe('Of the adapter that comes back'),
      withdrawn: z.array(z.string()).describe('Adapters to withdraw, at least'),
    })
    .describe('Sign a release that goes back, and publish it'),
]);
export type WorkItem = z.infer<typeof workItemSchema>;

export const workSchema = z.object({ role: z.string(), items: z.array(workItemSchema) });

function clientWork(name: string, state: RoundState, client: string): WorkItem[] {
  const member = state.members.find((each) => each.client === client);
  if (member === undefined) return [];
  if (member.update !== undefined) {
    return [{ kind: 'sent', plan: name, update: member.update.fingerprint, phase: state.phase }];
  }
  if (state.phase !== 'open') return [];
  return [{ kind: 'seal', plan: name, ...state.settings.key, deadlineMs: state.settings.deadlineMs }];
}

function gatewayWork(name: string, state: RoundState, gateway: string): WorkItem[] {
  if (state.phase !== 'open') return [];
  const { key, deadlineMs } = state.settings;
  const elsewhere = sentUpdates(state).filter(({ update }) => update.via?.gateway !== gateway);
  return [
    { kind: 'collect', plan: name, ...key, deadlineMs, elsewhere: elsewhere.map(({ client }) => client) },
  ];
}

function custodianWork(name: string, state: RoundState, custodian: string): WorkItem[] {
  const { aggregate, answers, settings } = state;
  if (state.phase !== 'awaiting-answers' || aggregate === undefined) return [];
  if (!settings.custodians.includes(custodian)) return [];
  if (answers.some((answer) => answer.custodian === custodian)) return [];
  return [{ kind: 'answer', plan: name, set: aggregate.set, aggregate: aggregate.fingerprint }];
}

function ownerWork(name: string, state: RoundState, isNewest: boolean): WorkItem[] {
  const { policy, round } = state.settings.key;
  const items: WorkItem[] = state.phase === 'opened' ? [{ kind: 'release', plan: name }] : [];
  for (const effect of outstandingEffects(state)) {
    if (effect.type === 'notify-owner' && effect.ask === 'open') {
      items.push({ kind: 'open', plan: name, answers: [...effect.custodians] });
    }
    if (effect.type === 'notify-owner' && effect.ask === 'close') {
      items.push({ kind: 'close-failed', plan: name, reason: effect.reason });
    }
    if (effect.type === 'notify-owner' && effect.ask === 'suspend') {
      items.push({ kind: 'suspend', plan: name, clients: [...effect.clients] });
    }
    if (!isNewest) continue;
    if (effect.type === 'plan-next') {
      const { cohort, notBeforeMs } = effect;
      items.push({ kind: 'plan', policy, cohort, round: round + 1, notBeforeMs });
    }
    if (effect.type === 'bisect') {
      for (const { cohort, clients, lineage } of effect.cohorts) {
        const next = { policy, cohort, round: round + 1, notBeforeMs: effect.notBeforeMs };
        items.push({ kind: 'plan', ...next, half: { clients: [...clients], lineage } });
      }
    }
  }
  return items;
}

/** Releases that go back, for which robots wait that run what was withdrawn. */
async function rollbackWork(rollouts: ServerContext['rollouts']): Promise<WorkItem[]> {
  const items: WorkItem[] = [];
  for (const policy of await rollouts.policies()) {
    const latest = (await rollouts.read(policy))?.latest;
    for (const effect of latest === undefined ? [] : outstandingRolloutEffects(latest)) {
      if (latest === undefined || effect.type !== 'request-rollback-release') continue;
      const { release, previous } = latest.plan;
      const { adapterFingerprint } = previous;
      const withdrawn = [...effect.withdrawn];
      items.push({
        kind: 'rollback',
        policy,
        bad: release.counter,
        to: effect.to,
        adapterFingerprint,
        withdrawn,
      });
    }
  }
  return items;
}

async function workOf({ index, rollouts }: ServerContext, actor: Actor): Promise<WorkItem[]> {
  await index.refresh();
  const current = index.current();
  const rounds = current.map(({ plan: name, state, isNewest }) => ({
    opensAtMs: state.settings.opensAtMs,
    items: actor.role === 'owner' ? ownerWork(name, state, isNewest) : memberWork(name, state, actor),
  }));
  if (actor.role !== 'owner') {
    // Its own alone: other cohorts' rounds do not push out the one that it waits for.
    const closed = index.closed(actor.role === 'client' ? actor.id : undefined);
    for (const { plan: name, opensAtMs } of closed) {
      rounds.push({ opensAtMs, items: [{ kind: 'closed', plan: name }] });
    }
  }
  const urgent = actor.role === 'owner' ? await rollbackWork(rollouts) : [];
  return [...urgent, ...rounds.sort((a, b) => b.opensAtMs - a.opensAtMs).flatMap(({ items }) => items)];
}

/** Of a round that is not closed. */
function memberWork(name: string, state: RoundState, { role, id }: Actor): WorkItem[] {
  if (state.close !== undefined) return [];
  if (role === 'client') return clientWork(name, state, id);
  return role === 'gateway' ? gatewayWork(name, state, id) : custodianWork(name, state, id);
}

export function registerWorkRoutes(app: App, context: ServerContext): void {
  app.get(
    '/v1/work',
    { schema: { summary: 'What the caller has to do now', tags: ['agents'], response: { 200: workSchema } } },
    async (request) => {
      const actor = actorOf(request);
      return { role: actor.role, items: await workOf(context, actor) };
    },
  );
}
