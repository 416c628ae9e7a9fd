/**
 * Live events (server-sent, WHATWG HTML section 9.2): what changes about rounds and rollouts, resumable by the store's revisions;
 * and records, for people alone: whatever agents hear makes them look for work, and robots leave records all the time.
 */
import { Readable } from 'node:stream';
import { recordSchema } from '../../observability/records.js';
import { decodeRoundState } from '../../round/machine/state.js';
import type { StateChange, StateStore } from '../../store/store.js';
import type { AccessTable } from '../auth/access.js';
import type { Actor } from '../auth/actor.js';
import type { ServerContext } from '../context.js';
import type { App } from '../http/app-type.js';
import { EventStreams } from '../http/event-streams.js';
import { actorOf } from '../http/gatekeeper.js';
import type { ServerLimits } from '../http/limits.js';
import { fileBodies } from '../openapi/route-bodies.js';
import { decodePolicyRollouts } from '../rollouts/policy-rollouts.js';
import { rolloutSummary } from '../rollouts/rollout-status.js';
import { roundSummary } from '../rounds/round-status.js';
import { keyOf } from '../rounds/stored-round.js';
import { decodeJson } from '../state/json-state.js';
import { RECORD_PREFIX, ROLLOUT_PREFIX } from '../state/keys.js';

export const EVENT_ACCESS: AccessTable = {
  'GET /v1/events': { allow: ['client', 'gateway', 'custodian', 'owner', 'operator', 'viewer'] },
};

/** Proxies and the idle timeout cut connections on which nothing is sent. */
const HEARTBEAT_MS = 15_000;
/** After this the caller comes back with its last event's id: whoever was revoked meanwhile does not. */
const MAX_STREAM_MS = 15 * 60_000;
/** Of rounds that changed last. */
const MAX_KEPT_EVENTS = 256;
/** Changes that a listener who comes back is told of: one that was away for longer asks for what there is. */
const MAX_REPLAYED_EVENTS = 256;

interface Event {
  readonly text: string;
  /** Of a rollout: what it is to machines. Every report changes one, and would wake the whole fleet, which then reports. */
  readonly standing?: string;
}

/** Events as they are sent: a thousand listeners cost one reading of the state. */
class EventTexts {
  readonly #texts = new Map<number, Event>();

  of({ key, value, revision }: StateChange & { readonly value: Uint8Array }): Event {
    const known = this.#texts.get(revision);
    if (known !== undefined) return known;
    const event = eventOf(key, value, revision);
    if (this.#texts.size >= MAX_KEPT_EVENTS) this.#texts.delete(this.#texts.keys().next().value as number);
    this.#texts.set(revision, event);
    return event;
  }
}

function eventOf(key: string, value: Uint8Array, revision: number): Event {
  if (key.startsWith(`${RECORD_PREFIX}.`)) return { text: recordEvent(key, value) };
  if (key.startsWith(`${ROLLOUT_PREFIX}.`)) return rolloutEvent(value);
  return { text: `id: ${revision}\nevent: round\ndata: ${roundData(key, value)}\n\n` };
}

function roundData(key: string, value: Uint8Array): string {
  const plan = key.slice(keyOf('round').length + 1);
  return JSON.stringify(roundSummary(plan, decodeRoundState(value)));
}

/** Without an id: records and rounds come by ways of their own, and what a listener names must be behind it on both. */
function recordEvent(key: string, value: Uint8Array): string {
  return `event: record\ndata: ${JSON.stringify(decodeJson(recordSchema, key, value))}\n\n`;
}

/** Without an id for the same reason; nothing, where a policy has its first release and no rollout yet. */
function rolloutEvent(value: Uint8Array): Event {
  const { latest } = decodePolicyRollouts(value);
  if (latest === undefined) return { text: '' };
  const summary = rolloutSummary(latest);
  const { rollout, phase, reason, step, rollbackRelease, clients } = summary;
  const standing = JSON.stringify([rollout, phase, reason, step, rollbackRelease, clients.offered]);
  return { text: `event: rollout\ndata: ${JSON.stringify(summary)}\n\n`, standing };
}

export function registerEventRoutes(app: App, { store }: ServerContext, limits: ServerLimits): void {
  const texts = new EventTexts();
  const streams = new EventStreams(limits);
  app.get(
    '/v1/events',
    {
      config: fileBodies({
        streams:
          'Server-sent events (WHATWG HTML, section 9.2), each with an id: `listening` first, with how many changes since Last-Event-ID it leaves out; then `round` and `rollout`, whose data is a summary as JSON, and for people `record`; comments between them keep the connection open. It ends after 15 minutes at most',
      }),
      schema: {
        summary: 'Changes of rounds and rollouts, and records for people, as they happen (text/event-stream)',
        tags: ['rounds'],
      },
    },
    async (request, reply) => {
      const actor = actorOf(request);
      const end = streams.open(actor);
      const gone = new AbortController();
      reply.raw.once('close', () => {
        gone.abort();
        end();
      });
      const signal = AbortSignal.any([gone.signal, app.closing, AbortSignal.timeout(MAX_STREAM_MS)]);
      const last = Number(request.headers['last-event-id']);
      const prefixes = watchedBy(actor.kind);
      const lastEvent = Number.isSafeInteger(last) && last > 0 ? last : undefined;
      const start = await startOf(store.state, prefixes, lastEvent);
      reply.type('text/event-stream').header('cache-control', 'no-store').header('x-accel-buffering', 'no');
      return reply.send(Readable.from(events(store, texts, signal, start, actor)));
    },
  );
}

/** The prefixes of what a caller is told. */
function watchedBy(kind: Actor['kind']): readonly string[] {
  const forAll = [keyOf('round'), ROLLOUT_PREFIX];
  return kind === 'person' ? [...forAll, RECORD_PREFIX] : forAll;
}

interface Start {
  readonly afterRevision: number;
  /** Changes since the listener's last event that it is not told of. */
  readonly skipped: number;
}

/** Where a listener begins: at the present, or where it was, if that is not too long ago. */
async function startOf(
  state: StateStore,
  prefixes: readonly string[],
  lastEvent: number | undefined,
): Promise<Start> {
  const present = await state.lastRevision();
  // A revision that is still to come is of a store that was replaced, or of nobody.
  if (lastEvent === undefined || lastEvent > present) return { afterRevision: present, skipped: 0 };
  const changed: number[] = [];
  for (const prefix of prefixes) {
    for await (const { revision } of state.list(prefix)) {
      if (revision > lastEvent) changed.push(revision);
    }
  }
  const skipped = Math.max(0, changed.length - MAX_REPLAYED_EVENTS);
  const newestSkipped = changed.sort((a, b) => a - b)[skipped - 1];
  return { afterRevision: newestSkipped ?? lastEvent, skipped };
}

async function* events(
  { state }: ServerContext['store'],
  texts: EventTexts,
  signal: AbortSignal,
  { afterRevision, skipped }: Start,
  { kind }: Actor,
): AsyncGenerator<string, void, void> {
  const told = new Map<string, string>();
  // An event of its own: who connects looks at once, at what changed before it listened.
  yield `retry: 3000\n\nid: ${afterRevision}\nevent: listening\ndata: ${JSON.stringify({ skipped })}\n\n`;
  const changes = merged(watchedBy(kind).map((prefix) => state.watch(prefix, { signal, afterRevision })));
  let next = changes.next();
  while (!signal.aborted) {
    const beat = new Promise<'beat'>((resolve) => {
      const timer = setTimeout(() => resolve('beat'), HEARTBEAT_MS);
      void next.finally(() => clearTimeout(timer)).catch(() => undefined);
    });
    const result = await Promise.race([next, beat]);
    if (result === 'beat') {
      yield ': still here\n\n';
      continue;
    }
    if (result.done === true) return;
    next = changes.next();
    const { key, value, revision } = result.value;
    if (value === undefined) continue;
    const { text, standing } = texts.of({ key, value, revision });
    if (text === '' || (kind === 'machine' && standing !== undefined && told.get(key) === standing)) continue;
    if (standing !== undefined) told.set(key, standing);
    yield text;
  }
}

/** What several streams bring, as it comes. Ends with the first of them. */
async function* merged<T>(streams: readonly AsyncIterable<T>[]): AsyncGenerator<T, void, void> {
  const iterators = streams.map((stream) => stream[Symbol.asyncIterator]());
  const coming = iterators.map((iterator, i) => next(iterator, i));
  for (;;) {
    const { i, result } = await Promise.race(coming);
    if (result.done === true) return;
    coming[i] = next(iterators[i] as AsyncIterator<T>, i);
    yield result.value;
  }
}

async function next<T>(iterator: AsyncIterator<T>, i: number) {
  return { i, result: await iterator.next() };
}
