import { expect } from 'chai';
import { bodyUntil, GivingUp } from '../../../lib/agents/http/giving-up.js';

const piece = new Uint8Array(3);

/** A body that sends these pieces and then nothing, neither more nor its end. */
function silentAfter(pieces: number): { body: ReadableStream<Uint8Array>; wasCancelled: () => boolean } {
  let cancelled = false;
  let sent = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (sent === pieces) return new Promise(() => undefined);
      sent += 1;
      controller.enqueue(piece);
      return undefined;
    },
    cancel() {
      cancelled = true;
    },
  });
  return { body, wasCancelled: () => cancelled };
}

async function failureOf(body: AsyncIterable<Uint8Array>, onPiece: () => void): Promise<string | undefined> {
  try {
    for await (const _ of body) onPiece();
    return undefined;
  } catch (error) {
    return (error as Error).name;
  }
}

describe('reading a body until it is given up', () => {
  it('fails when it is stopped, and gives the connection back', async () => {
    const stopping = new AbortController();
    const givingUp = new GivingUp(stopping.signal, 60_000);
    const { body, wasCancelled } = silentAfter(2);
    let pieces = 0;
    const failure = await failureOf(bodyUntil(body, givingUp.signal), () => {
      pieces += 1;
      if (pieces === 2) setImmediate(() => stopping.abort());
    });
    givingUp.end();
    expect(pieces).to.equal(2);
    expect(failure).to.equal('AbortError');
    expect(wasCancelled()).to.equal(true);
  });

  it('fails when nothing has come for too long', async () => {
    const givingUp = new GivingUp(new AbortController().signal, 10);
    const { body, wasCancelled } = silentAfter(1);
    const failure = await failureOf(bodyUntil(body, givingUp.signal), () => givingUp.heard());
    givingUp.end();
    expect(failure).to.equal('AbortError');
    expect(wasCancelled()).to.equal(true);
  });

  it('reads nothing where it was stopped before', async () => {
    const givingUp = new GivingUp(AbortSignal.abort(), 60_000);
    const failure = await failureOf(bodyUntil(silentAfter(1).body, givingUp.signal), () =>
      expect.fail('read'),
    );
    givingUp.end();
    expect(failure).to.equal('AbortError');
  });

  it('reads a body to its end, and an answer without one as nothing', async () => {
    const { signal } = new AbortController();
    let bytes = 0;
    for await (const { length } of bodyUntil(new Response(new Uint8Array(70_000)).body, signal))
      bytes += length;
    expect(bytes).to.equal(70_000);
    for await (const _ of bodyUntil(null, signal)) expect.fail('there is no body');
  });
});
