import { randomBytes } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { type DownloadOptions, download } from '../../../lib/agents/api/download.js';
import { EnvironmentError } from '../../../lib/errors.js';
import { expectRefusal } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

const CONTENT = randomBytes(10_000);

interface Connection {
  /** Bytes until it breaks; the rest, if absent. */
  readonly breaksAfter?: number;
  readonly ignoresRange?: boolean;
  readonly refuses?: boolean;
}

/** Downloads over these connections, one after the other. @returns the ranges that were asked for */
async function over(
  connections: readonly Connection[],
  options: Partial<DownloadOptions> = {},
): Promise<{ readonly out: string; readonly ranges: (string | undefined)[] }> {
  const out = join(await temporaryDirectory(), 'file');
  const ranges: (string | undefined)[] = [];
  await download({
    open: async (headers) => {
      const connection = connections[ranges.length] ?? { refuses: true };
      ranges.push(headers['range']);
      if (connection.refuses) throw new EnvironmentError('http.unreachable', 'no network');
      const start = connection.ignoresRange ? 0 : Number(/\d+/.exec(headers['range'] ?? '0')?.[0]);
      return answer(start, connection.breaksAfter);
    },
    out,
    maxBytes: CONTENT.length,
    signal: new AbortController().signal,
    ...options,
  });
  return { out, ranges };
}

function answer(start: number, breaksAfter: number | undefined): Response {
  const rest = CONTENT.subarray(start);
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(new Uint8Array(rest.subarray(0, breaksAfter)));
      if (breaksAfter === undefined) controller.close();
    },
    pull(controller) {
      if (breaksAfter !== undefined) controller.error(new Error('cut'));
    },
  });
  const headers = { 'content-length': String(rest.length) };
  return new Response(body, { status: start > 0 ? 206 : 200, headers });
}

describe('downloading a file', () => {
  it('writes it for nobody else to read', async () => {
    const { out, ranges } = await over([{}]);
    expect(CONTENT.equals(await readFile(out))).to.equal(true);
    expect((await stat(out)).mode & 0o777).to.equal(0o600);
    expect(ranges).to.deep.equal([undefined]);
  });

  it('goes on where a connection broke, as often as each brings something', async () => {
    const { out, ranges } = await over([
      { breaksAfter: 100 },
      { breaksAfter: 1000 },
      { breaksAfter: 1000 },
      { breaksAfter: 1000 },
      {},
    ]);
    expect(CONTENT.equals(await readFile(out))).to.equal(true);
    expect(ranges).to.deep.equal([undefined, 'bytes=100-', 'bytes=1100-', 'bytes=2100-', 'bytes=3100-']);
  });

  it('begins anew where the server knows no ranges', async () => {
    const { out } = await over([{ breaksAfter: 5000 }, { ignoresRange: true }]);
    expect(CONTENT.equals(await readFile(out))).to.equal(true);
  });

  it('gives up after connections that bring nothing', async () => {
    await expectRefusal('http.unreachable', () => over([{ breaksAfter: 10 }, {}, {}].slice(0, 1)));
  });

  it('takes no more than what is allowed', async () => {
    await expectRefusal('http.bad-answer', () => over([{}], { maxBytes: CONTENT.length - 1 }));
  });
});
