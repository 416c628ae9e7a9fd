import { expect } from 'chai';
import { watchEvents } from '../../lib/agents/event-watcher.js';

/** Listens to these connections, one after the other, and stops when there are no more. */
async function eventsOf(connections: readonly (readonly string[] | Error)[]): Promise<number> {
  const stopping = new AbortController();
  let events = 0;
  let opened = 0;
  await watchEvents({
    open: async () => {
      const connection = connections[opened];
      opened += 1;
      if (opened >= connections.length) stopping.abort();
      if (connection instanceof Error) throw connection;
      return (async function* () {
        for (const piece of connection ?? []) yield Buffer.from(piece);
      })();
    },
    onEvent: () => {
      events += 1;
    },
    stopping: stopping.signal,
    reconnectMs: 1,
  });
  expect(opened).to.equal(connections.length);
  return events;
}

describe('listening to events', () => {
  it('hears each event once, however the stream is cut into pieces', async () => {
    const stream =
      'retry: 3000\n\nid: 7\nevent: round\ndata: {"phase":"open"}\n\n: still here\n\nid: 8\nevent: round\n\n';
    expect(await eventsOf([[stream]])).to.equal(2);
    expect(await eventsOf([stream.split('')])).to.equal(2);
  });

  it('hears nothing in heartbeats, and nothing in what only contains the word', async () => {
    expect(await eventsOf([[': event: round\n\n', 'data: event: round\n\n']])).to.equal(0);
  });

  it('connects again after failures and cuts', async () => {
    expect(await eventsOf([new Error('refused'), ['event: ro'], ['event: round\n\n']])).to.equal(1);
  });

  it('gives up a connection that has gone silent', async () => {
    const stopping = new AbortController();
    let aborted = 0;
    await watchEvents({
      open: async (signal) => {
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
        aborted += 1;
        if (aborted === 2) stopping.abort();
        throw signal.reason;
      },
      onEvent: () => expect.fail('nothing happened'),
      stopping: stopping.signal,
      reconnectMs: 1,
      silenceMs: 5,
    });
    expect(aborted).to.equal(2);
  });
});
