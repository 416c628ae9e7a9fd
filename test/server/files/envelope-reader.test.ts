import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { openContainer } from '../../../lib/package/reader.js';
import { createSigningKey } from '../../../lib/package/signing-key.js';
import { containerBytes, encodeContainer } from '../../../lib/package/writer.js';
import { takeEnvelope } from '../../../lib/server/files/envelope-reader.js';
import { bytes32 } from '../../custody/support/bytes.js';
import { expectRefusal } from '../../support/refusals.js';

async function* cut(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

describe('the envelope at the beginning of a body', () => {
  let file: Uint8Array;
  let envelopeBytes: Uint8Array;

  before(async () => {
    file = containerBytes(
      await encodeContainer({
        kind: 'answer',
        body: {
          ...{ fleet: 'acme', policy: 'p', cohort: 'all', round: 1, custodian: 'c', index: 1, epoch: 1 },
          plan: bytes32('plan'),
          set: bytes32('set'),
          contributors: 3,
          ledgerHead: bytes32('head'),
        },
        sections: [{ name: 'sealed', data: new Uint8Array(randomBytes(5000)) }],
        signer: createSigningKey(),
      }),
    );
    envelopeBytes = Uint8Array.from((await openContainer(file, 'answer')).envelopeBytes);
  });

  it('is taken off whole, and the rest left as it is, however the body is cut', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 6000 }), async (size) => {
        const { envelope, rest } = await takeEnvelope(cut(file, size), file.length, 1 << 16);
        expect(envelope).to.deep.equal(envelopeBytes);
        const parts: Uint8Array[] = [];
        for await (const part of rest) parts.push(part);
        expect(Buffer.concat(parts).equals(file.subarray(envelopeBytes.length))).to.equal(true);
      }),
      { numRuns: 40 },
    );
  });

  it('is refused unread where it says that it is larger than is taken', async () => {
    let read = 0;
    async function* counting(): AsyncGenerator<Uint8Array> {
      for await (const part of cut(file, 64)) {
        read += part.length;
        yield part;
      }
    }
    await expectRefusal('container.too-large', () => takeEnvelope(counting(), file.length, 100));
    expect(read).to.equal(64);
  });

  it('is refused where the body ends in it, is shorter than it says, or is no container', async () => {
    const short = file.subarray(0, 100);
    await expectRefusal('container.truncated', () => takeEnvelope(cut(short, 7), file.length, 1 << 16));
    await expectRefusal('container.truncated', () => takeEnvelope(cut(file, 64), 50, 1 << 16));
    await expectRefusal('container.bad-magic', () =>
      takeEnvelope(cut(new Uint8Array(1000), 64), 1000, 1 << 16),
    );
    await expectRefusal('container.truncated', () => takeEnvelope(cut(new Uint8Array(0), 1), 0, 1 << 16));
  });
});
