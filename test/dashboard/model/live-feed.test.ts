import { expect } from 'chai';
import { type FeedState, LiveFeed } from '../../../lib/dashboard/model/live-feed.js';
import { RequestFailure } from '../../../lib/dashboard/model/server-api.js';

const event = (id: number): Uint8Array =>
  new TextEncoder().encode(`id: ${id}\nevent: round\ndata: ${id}\n\n`);

async function* stream(...pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}

/** Silent, until it is aborted, as fetch's streams are. */
async function* silence(signal: AbortSignal): AsyncGenerator<Uint8Array> {
  await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
}

async function until(holds: () => boolean): Promise<void> {
  for (const end = Date.now() + 5000; !holds(); ) {
    if (Date.now() > end) throw new Error('it did not come about');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

describe('following the events of the server', () => {
  const running: LiveFeed[] = [];
  const quick = { firstDelayMs: 2, maxDelayMs: 10 };

  function follow(open: ConstructorParameters<typeof LiveFeed>[0]['open'], silenceMs = 1000) {
    const [seen, states]: [string[], FeedState[]] = [[], []];
    const feed = new LiveFeed({
      ...{ ...quick, open, silenceMs },
      onEvent: ({ data }) => seen.push(data),
      onState: (state) => states.push(state),
    });
    running.push(feed);
    feed.start();
    return { feed, seen, states, names: () => states.map(({ name }) => name) };
  }

  afterEach(() => {
    for (const feed of running.splice(0)) feed.stop();
  });

  it('goes on after the last event that it saw when the server comes back', async () => {
    const asked: (string | undefined)[] = [];
    const { seen, names } = follow(async (lastEventId, signal) => {
      asked.push(lastEventId);
      if (asked.length === 1) return stream(event(4), event(5));
      if (asked.length < 4) throw new RequestFailure('unreachable', 'http.unreachable', 'away');
      return asked.length === 4 ? stream(event(6)) : silence(signal);
    });
    await until(() => asked.length === 5);
    expect(asked).to.deep.equal([undefined, '5', '5', '5', '6']);
    expect(seen).to.deep.equal(['4', '5', '6']);
    expect(names().slice(0, 5)).to.deep.equal(['connecting', 'live', 'waiting', 'connecting', 'waiting']);
  });

  it('takes a connection for dead on which nothing is heard', async () => {
    let opened = 0;
    const { states } = follow(async (_, signal) => {
      opened += 1;
      return silence(signal);
    }, 15);
    await until(() => opened >= 2);
    const waiting = states.find((state) => state.name === 'waiting');
    expect(waiting).to.include({ reason: 'Nothing was heard of the server.' });
  });

  it('ends where the token is refused, and begins again with another', async () => {
    let isRefused = true;
    let opened = 0;
    const { feed, names } = follow(async (_, signal) => {
      opened += 1;
      if (isRefused) throw new RequestFailure(401, 'auth.token-expired', 'expired');
      return silence(signal);
    });
    await until(() => names().includes('off'));
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(opened).to.equal(1);
    isRefused = false;
    feed.start();
    await until(() => names().at(-1) === 'live');
  });

  it('says nothing any more once it is stopped', async () => {
    const { feed, names, seen } = follow(async (_, signal) => silence(signal));
    await until(() => names().at(-1) === 'live');
    feed.stop();
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(names().at(-1)).to.equal('off');
    expect(seen).to.deep.equal([]);
  });
});
