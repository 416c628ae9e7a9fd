import { inspect } from 'node:util';
import { expect } from 'chai';
import fc from 'fast-check';
import {
  openPayload,
  type PayloadCipher,
  SEGMENT_PLAINTEXT_BYTES,
  sealPayload,
} from '../../../lib/custody/release/payload-cipher.js';
import { SecretBytes } from '../../../lib/custody/secret-bytes.js';
import { encryptedBytes, RELEASE_SEGMENT_BYTES } from '../../../lib/package/messages/release.js';
import { expectRefusal } from '../../support/refusals.js';
import { bytes32, withBitFlipped } from '../support/bytes.js';

const RELEASE = { fleet: 'acme', policy: 'pick', counter: 7 };

function cipherFor(plaintextBytes: number, changes: Partial<PayloadCipher> = {}): PayloadCipher {
  return {
    key: new SecretBytes(bytes32('content key')),
    noncePrefix: bytes32('prefix').subarray(0, 7),
    release: RELEASE,
    plaintextBytes,
    ...changes,
  };
}

/** Bytes of which no two segments are alike. */
function patterned(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 131 + (i >> 9) + (i >> 20)) & 0xff);
}

async function* inPieces(
  bytes: Uint8Array,
  sizeBytes = bytes.length,
): AsyncGenerator<Uint8Array, void, void> {
  for (let at = 0; at < bytes.length; at += sizeBytes) yield bytes.subarray(at, at + sizeBytes);
}

async function joined(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of stream) pieces.push(piece);
  return new Uint8Array(Buffer.concat(pieces));
}

const seal = (plaintext: Uint8Array, cipher = cipherFor(plaintext.length)): Promise<Uint8Array> =>
  joined(sealPayload(cipher, inPieces(plaintext, 700_001)));

function segmentsOf(sealed: Uint8Array): Uint8Array[] {
  return Array.from({ length: Math.ceil(sealed.length / RELEASE_SEGMENT_BYTES) }, (_, i) =>
    sealed.subarray(i * RELEASE_SEGMENT_BYTES, (i + 1) * RELEASE_SEGMENT_BYTES),
  );
}

describe("the encryption of a release's content", () => {
  const LENGTH = 2 * SEGMENT_PLAINTEXT_BYTES + 1000;
  const plaintext = patterned(LENGTH);
  let sealed: Uint8Array;

  before(async () => {
    sealed = await seal(plaintext);
  });

  const opensNot = (bytes: Uint8Array, cipher = cipherFor(LENGTH)): Promise<unknown> =>
    expectRefusal('release.content-broken', () => joined(openPayload(cipher, inPieces(bytes))));

  it('gives back what it was given, whatever the pieces', async () => {
    for (const length of [1, 15, SEGMENT_PLAINTEXT_BYTES, SEGMENT_PLAINTEXT_BYTES + 1, LENGTH]) {
      const part = plaintext.subarray(0, length);
      const encrypted = await seal(part);
      expect(encrypted.length).to.equal(encryptedBytes(length));
      for (const sizeBytes of [encrypted.length, RELEASE_SEGMENT_BYTES, 99_991]) {
        const opened = await joined(openPayload(cipherFor(length), inPieces(encrypted, sizeBytes)));
        expect(Buffer.compare(opened, part), `${length} bytes in pieces of ${sizeBytes}`).to.equal(0);
      }
    }
  });

  it('gives the same bytes each time, under one key and prefix', async () => {
    expect(Buffer.compare(await seal(plaintext), sealed)).to.equal(0);
    const otherPrefix = cipherFor(LENGTH, { noncePrefix: bytes32('other').subarray(0, 7) });
    expect(Buffer.compare(await seal(plaintext, otherPrefix), sealed)).not.to.equal(0);
  });

  it('agrees with AES-256-GCM under the nonce prefix || number || flag', async () => {
    const { createDecipheriv } = await import('node:crypto');
    for (const [i, segment] of segmentsOf(sealed).entries()) {
      const nonce = Buffer.concat([bytes32('prefix').subarray(0, 7), Buffer.of(0, 0, 0, i, i === 2 ? 1 : 0)]);
      const decipher = createDecipheriv('aes-256-gcm', bytes32('content key'), nonce);
      const label = Buffer.from('tensorguard-native v1 release payload');
      const u32 = (value: number): Buffer => Buffer.of(value, 0, 0, 0);
      decipher.setAAD(
        Buffer.concat([
          ...[u32(label.length), label, u32(4), Buffer.from('acme'), u32(4), Buffer.from('pick')],
          ...[u32(8), Buffer.of(7, 0, 0, 0, 0, 0, 0, 0)],
        ]),
      );
      decipher.setAuthTag(segment.subarray(-16));
      const opened = Buffer.concat([decipher.update(segment.subarray(0, -16)), decipher.final()]);
      const start = i * SEGMENT_PLAINTEXT_BYTES;
      expect(opened.equals(plaintext.subarray(start, start + SEGMENT_PLAINTEXT_BYTES))).to.equal(true);
    }
  });

  it('does not open what was changed anywhere', async () => {
    const places = [
      0,
      1,
      RELEASE_SEGMENT_BYTES - 1,
      RELEASE_SEGMENT_BYTES,
      sealed.length - 17,
      sealed.length - 1,
    ];
    for (const place of places) await opensNot(withBitFlipped(sealed, place));
    await fc.assert(
      fc.asyncProperty(fc.nat(sealed.length - 1), async (place) => {
        await opensNot(withBitFlipped(sealed, place));
      }),
      { numRuns: 20 },
    );
  });

  it('does not open segments that were moved, doubled or left out', async () => {
    const [a, b, c] = segmentsOf(sealed) as [Uint8Array, Uint8Array, Uint8Array];
    for (const segments of [
      [b, a, c],
      [a, a, c],
      [a, b, b],
      [b, c],
      [a, c],
      [c],
      [a, b, c, c],
      [a, b, c, a],
    ]) {
      await opensNot(Buffer.concat(segments));
    }
  });

  it('does not open what was cut, within a segment or between two, nor what has more', async () => {
    const cuts = [0, 1, 16, 17, RELEASE_SEGMENT_BYTES, 2 * RELEASE_SEGMENT_BYTES, sealed.length - 1];
    for (const length of cuts) await opensNot(sealed.subarray(0, length));
    await opensNot(Buffer.concat([sealed, Buffer.alloc(1)]));
    await opensNot(Buffer.concat([sealed, Buffer.alloc(RELEASE_SEGMENT_BYTES)]));
  });

  it('does not open what was cut even for who believes the shorter length', async () => {
    const twoSegments = sealed.subarray(0, 2 * RELEASE_SEGMENT_BYTES);
    await opensNot(twoSegments, cipherFor(2 * SEGMENT_PLAINTEXT_BYTES));
  });

  it('does not open under another key, prefix, fleet, policy or counter', async () => {
    const changes: Partial<PayloadCipher>[] = [
      { key: new SecretBytes(bytes32('another key')) },
      { noncePrefix: bytes32('other').subarray(0, 7) },
      { release: { ...RELEASE, fleet: 'acm' } },
      { release: { ...RELEASE, policy: 'place' } },
      { release: { ...RELEASE, counter: 8 } },
      { release: { ...RELEASE, fleet: 'pick', policy: 'acme' } },
    ];
    for (const change of changes) await opensNot(sealed, cipherFor(LENGTH, change));
  });

  it('refuses a plaintext of another length before its last segment', async () => {
    for (const announced of [
      LENGTH - 1,
      LENGTH + 1,
      LENGTH + SEGMENT_PLAINTEXT_BYTES,
      SEGMENT_PLAINTEXT_BYTES,
    ]) {
      const given: Uint8Array[] = [];
      await expectRefusal('release.wrong-length', async () => {
        for await (const segment of sealPayload(cipherFor(announced), inPieces(plaintext)))
          given.push(segment);
      });
      const givenBytes = given.reduce((sum, { length }) => sum + length, 0);
      expect(givenBytes, `announced ${announced}`).to.be.at.most(encryptedBytes(announced));
      // Nothing that opens as a whole has left.
      await opensNot(new Uint8Array(Buffer.concat(given)), cipherFor(LENGTH));
    }
  });

  it('holds one segment at a time, however long the content is', async () => {
    const pieceBytes = 64 << 10;
    for (const crypt of [sealPayload, openPayload]) {
      const source = crypt === sealPayload ? plaintext : sealed;
      let taken = 0;
      let given = 0;
      async function* counted(): AsyncGenerator<Uint8Array, void, void> {
        for await (const piece of inPieces(source, pieceBytes)) {
          taken += piece.length;
          yield piece;
        }
      }
      let held = 0;
      for await (const out of crypt(cipherFor(LENGTH), counted())) {
        held = Math.max(held, taken - given);
        given += out.length;
      }
      expect(held).to.be.at.most(RELEASE_SEGMENT_BYTES + pieceBytes);
      expect(held).to.be.at.least(SEGMENT_PLAINTEXT_BYTES);
    }
  });

  it('shows no key in its errors', async () => {
    const error = await opensNot(withBitFlipped(sealed, 5));
    const shown = inspect(error, { depth: 10, showHidden: true });
    expect(shown).not.to.include(Buffer.from(bytes32('content key')).toString('hex'));
    expect((error as Error).cause).to.equal(undefined);
  });
});
