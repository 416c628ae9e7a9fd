/** Live events (server-sent, WHATWG HTML section 9.2): what changes about rounds, resumable by the store's revisions. */
import { Readable } from 'node:stream';
import { decodeRoundState } from '../../round/machine/state.js';
import type { StateChange } from '../../store/store.js';
import type { AccessTable } from '../auth/access.js';
import type { ServerContext } from '../context.js';
import type { App } from '../http/app-type.js';
import { roundSummary } from '../rounds/round-status.js';
import { keyOf } from '../rounds/stored-round.js';

export const EVENT_ACCESS: AccessTable = {
  'GET /v1/events': { allow: ['client', 'custodian', 'owner', 'operator', 'viewer'] },
};

/** Proxies and the idle timeout cut connections on which nothing is sent. */
const HEARTBEAT_MS = 15_000;
/** After this the caller comes back with its last event's id: whoever was revoked meanwhile does not. */
const MAX_STREAM_MS = 15 * 60_000;
/** Of rounds that changed last. */
const MAX_KEPT_EVENTS = 256;

/** Events as they are sent: a thousand listeners cost one reading of the state. */
class EventTexts {
  readonly #texts = new Map<number, string>();

  of({ key, value, revision }: StateChange & { readonly value: Uint8Array }): string {
    const known = this.#texts.get(revision);
    if (known !== undefined) return known;
    const plan = key.slice(keyOf('round').length + 1);
    const data = JSON.stringify(roundSummary(plan, decodeRoundState(value)));
    const text = `id: ${revision}\nevent: round\ndata: ${data}\n\n`;
    if (this.#texts.size >= MAX_KEPT_EVENTS) this.#texts.delete(this.#texts.keys().next().value as number);
    this.#texts.set(revision, text);
    return text;
  }
}

export function registerEventRoutes(app: App, { store }: ServerContext): void {
  const texts = new EventTexts();
  app.get(
    '/v1/events',
    { schema: { summary: 'Changes of rounds, as they happen (text/event-stream)', tags: ['rounds'] } },
    async (request, reply) => {
      const gone = new AbortController();
      request.raw.once('close', () => gone.abort());
      const signal = AbortSignal.any([gone.signal, app.closing, AbortSignal.timeout(MAX_STREAM_MS)]);
      const last = Number(request.headers['last-event-id']);
      const afterRevision = Number.isSafeInteger(last) && last > 0 ? last : undefined;
      reply.type('text/event-stream').header('cache-control', 'no-store').header('x-accel-buffering', 'no');
      return reply.send(Readable.from(events(store, texts, signal, afterRevision)));
    },
  );
}

async function* events(
  { state }: ServerContext['store'],
  texts: EventTexts,
  signal: AbortSignal,
  afterRevision: number | undefined,
): AsyncGenerator<string, void, void> {
  yield 'retry: 3000\n\n';
  const changes = state.watch(keyOf('round'), { signal, afterRevision })[Symbol.asyncIterator]();
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
    if (value !== undefined) yield texts.of({ key, value, revision });
  }
}
