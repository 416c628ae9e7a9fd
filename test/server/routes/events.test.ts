import { expect } from 'chai';
import { signRequest } from '../../../lib/agents/http/request-signer.js';
import { openKeyStore } from '../../../lib/custody/role-directory.js';
import type { LocalSigningKey } from '../../../lib/package/signing-key.js';
import { DEFAULT_LIMITS } from '../../../lib/server/http/limits.js';
import { PREVIOUS, testPlan, VERDICT } from '../../rollout/support/rollout-driver.js';
import { newRound } from '../support/rounds.js';
import { ServedTestFleet } from '../support/served-fleet.js';

interface Event {
  readonly id: number;
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
}

const MAX_OWN_STREAMS = 3;

/** Live events of the service, read from the stream one after the other. */
class Listener {
  #text = '';
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;

  constructor(
    response: Response,
    private readonly stopping: AbortController,
  ) {
    if (response.body === null) throw new Error('no stream');
    this.#reader = response.body.getReader();
  }

  async next(): Promise<Event> {
    for (;;) {
      const found = /(?:id: (\d+)\n)?event: (\S+)\ndata: (.*)\n\n/.exec(this.#text);
      if (found !== null) {
        this.#text = this.#text.slice(found.index + found[0].length);
        return { id: Number(found[1]), event: found[2] as string, data: JSON.parse(found[3] as string) };
      }
      const { value, done } = await this.#reader.read();
      if (done) throw new Error(`the stream ended with ${this.#text}`);
      this.#text += Buffer.from(value).toString();
    }
  }

  async close(): Promise<void> {
    this.stopping.abort();
    await this.#reader.closed.catch(() => undefined);
  }
}

describe('live events', function () {
  this.timeout(60_000);

  let fleet: ServedTestFleet;
  const keys = new Map<string, LocalSigningKey>();
  let created = 0;

  before(async () => {
    fleet = await ServedTestFleet.create(3);
    await fleet.start({ limits: { ...DEFAULT_LIMITS, maxEventStreamsPerActor: MAX_OWN_STREAMS } });
    for (const role of ['owner', 'client-1'] as const) {
      const store = await openKeyStore(fleet.role(role));
      keys.set(role, await store.signing());
      store.close();
    }
  });
  after(() => fleet.stop());

  async function request(role: string, lastEventId: number | undefined, signal: AbortSignal) {
    const url = new URL('/v1/events', fleet.service.address);
    const signed = await signRequest(
      keys.get(role) as LocalSigningKey,
      { method: 'GET', target: url.pathname, authority: url.host, contentDigest: undefined },
      Date.now(),
    );
    const headers = {
      ...signed,
      ...(lastEventId !== undefined && { 'last-event-id': String(lastEventId) }),
    };
    return fetch(url, { headers, signal });
  }

  async function listen(lastEventId?: number, role = 'owner'): Promise<Listener> {
    const stopping = new AbortController();
    const response = await request(role, lastEventId, stopping.signal);
    expect(response.status).to.equal(200);
    expect(response.headers.get('content-type')).to.equal('text/event-stream');
    return new Listener(response, stopping);
  }

  /** A round that waits for a later day: it is an event, and no other follows. */
  async function createRound(): Promise<string> {
    created += 1;
    const plan = created.toString(16).padStart(64, '0');
    const eligible = [fleet.clientId(1), fleet.clientId(2)];
    const opensAtMs = Date.now() + 86_400_000;
    await fleet.service.context.rounds.create(plan, newRound(plan, 'all', created, eligible, opensAtMs));
    return plan;
  }

  it('begin with the present: a new listener hears that it listens, and what happens from then on', async () => {
    await createRound();
    const listener = await listen();
    expect(await listener.next()).to.deep.include({ event: 'listening', data: { skipped: 0 } });
    const plan = await createRound();
    const { event, data } = await listener.next();
    expect(event).to.equal('round');
    expect(data).to.include({ plan, phase: 'planned', received: 0 });
    await listener.close();
  });

  it('tell of a rollout as it changes, and again whom it was told to before its last event of a round', async () => {
    await createRound();
    const listener = await listen();
    const { id: begun } = await listener.next();
    const { rollouts } = fleet.service.context;
    const policy = 'pick-and-place';
    await rollouts.begin(policy, PREVIOUS);
    const plan = testPlan(3, { clients: [1, 2, 3].map((number) => fleet.clientId(number)), policy });
    const verdict = { outcome: 'passed', verdict: VERDICT } as const;
    await rollouts.start(policy, { plan, atMs: Date.now(), supersede: false, verdict });
    const { event, data } = await listener.next();
    expect(event).to.equal('rollout');
    expect(data).to.deep.include({ rollout: 2, policy, phase: 'canary', step: { index: 0, percent: 10 } });
    expect(data['clients']).to.deep.equal({ enrolled: 3, offered: 1, asExpected: 0 });
    await rollouts.command(policy, 2, { type: 'pause', atMs: Date.now() });
    let paused = await listener.next();
    // That an alert was told of is a change of its own.
    while (paused.data['phase'] === 'canary') paused = await listener.next();
    expect(paused.data).to.include({ phase: 'paused', reason: 'operator' });
    await listener.close();
    const again = await listen(begun);
    await again.next();
    expect((await again.next()).data).to.include({ rollout: 2, phase: 'paused' });
    await again.close();
  });

  it('go on after the last one that a listener names', async () => {
    const first = await listen();
    const { id } = await first.next();
    await first.close();
    const plans = [await createRound(), await createRound()];
    const again = await listen(id);
    expect(await again.next()).to.deep.include({ id, event: 'listening', data: { skipped: 0 } });
    const heard = [await again.next(), await again.next()];
    expect(heard.map(({ data }) => data['plan'])).to.deep.equal(plans);
    await again.close();
    const later = await listen(heard[0]?.id);
    await later.next();
    expect((await later.next()).data['plan']).to.equal(plans[1]);
    await later.close();
  });

  it('leave out the oldest for a listener that was away for long, and say how many', async () => {
    const first = await listen();
    const { id } = await first.next();
    await first.close();
    const plans: string[] = [];
    for (let i = 0; i < 260; i += 1) plans.push(await createRound());
    const again = await listen(id);
    expect((await again.next()).data).to.deep.equal({ skipped: 4 });
    expect((await again.next()).data['plan']).to.equal(plans[4]);
    await again.close();
  });

  it('begin with the present for an id that this store has not given yet', async () => {
    const listener = await listen(Number.MAX_SAFE_INTEGER);
    const { id, event } = await listener.next();
    expect([id, event]).to.deep.equal([await fleet.service.context.store.state.lastRevision(), 'listening']);
    await listener.close();
  });

  it('are refused to a caller that listens too often, not to others, and are there again when it has closed one', async () => {
    const own = await Promise.all(
      Array.from({ length: MAX_OWN_STREAMS }, () => listen(undefined, 'client-1')),
    );
    const refused = await request('client-1', undefined, new AbortController().signal);
    expect(refused.status).to.equal(429);
    expect(Number(refused.headers.get('retry-after'))).to.be.greaterThan(0);
    expect(await refused.json()).to.include({ code: 'request.too-many-streams' });
    await (await listen()).close();
    await own[0]?.close();
    let again: Response | undefined;
    // The server hears of a closed connection a moment later.
    for (const end = Date.now() + 5000; again?.status !== 200 && Date.now() < end; ) {
      const stopping = new AbortController();
      again = await request('client-1', undefined, stopping.signal);
      stopping.abort();
    }
    expect(again?.status).to.equal(200);
    for (const each of own) await each.close();
  });
});
