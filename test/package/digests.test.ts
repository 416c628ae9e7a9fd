import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { chunkCount, chunkDigest, chunkDigests, forEachChunk } from '../../lib/package/digests.js';
import { CHUNK_BYTES } from '../../lib/package/layout.js';

function patterned(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) & 0xff);
}

const sha256 = (bytes: Uint8Array) => Uint8Array.from(createHash('sha256').update(bytes).digest());

describe('chunk digests', () => {
  for (const length of [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 5 * CHUNK_BYTES + 7]) {
    it(`cover ${length} bytes, a mebibyte each and the rest`, async () => {
      const data = patterned(length);
      const expected: Uint8Array[] = [];
      for (let at = 0; at < length; at += CHUNK_BYTES)
        expected.push(sha256(data.subarray(at, at + CHUNK_BYTES)));
      expect(await chunkDigests(data)).to.deep.equal(expected);
      expect(chunkCount(length)).to.equal(expected.length);
    });
  }

  it('are of the view, not of the memory around it', async () => {
    const data = patterned(100_000);
    expect(await chunkDigest(data.subarray(1000, 90_000))).to.deep.equal(sha256(data.slice(1000, 90_000)));
  });

  it('work on shared memory', async () => {
    const shared = new Uint8Array(new SharedArrayBuffer(50_000)).fill(3);
    expect(await chunkDigest(shared)).to.deep.equal(sha256(new Uint8Array(50_000).fill(3)));
  });

  it('visit every chunk once, and few at a time', async () => {
    const seen: number[] = [];
    let running = 0;
    let most = 0;
    await forEachChunk(50, async (i) => {
      running += 1;
      most = Math.max(most, running);
      await new Promise(setImmediate);
      seen.push(i);
      running -= 1;
    });
    expect(seen.sort((a, b) => a - b)).to.deep.equal(Array.from({ length: 50 }, (_, i) => i));
    expect(most).to.equal(4);
  });

  it('stop at the first failure, and fail only when nothing is under way any more', async () => {
    let started = 0;
    let running = 0;
    let failure: unknown;
    try {
      await forEachChunk(1000, async (i) => {
        started += 1;
        running += 1;
        await new Promise(setImmediate);
        running -= 1;
        if (i === 5) throw new Error('five');
      });
    } catch (error) {
      failure = error;
    }
    expect(failure).to.have.property('message', 'five');
    expect(running).to.equal(0);
    expect(started).to.be.lessThan(20);
  });
});
