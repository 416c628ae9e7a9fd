import { expect } from 'chai';
import {
  decodePrefix,
  encodePrefix,
  isReadableVersion,
  MAX_HEADER_BYTES,
  MAX_SIGNATURE_BLOCK_BYTES,
} from '../../lib/package/layout.js';
import { codeOf } from './fixtures.js';

describe('the prefix of a file', () => {
  it('is magic, version, zero and two lengths, little-endian', () => {
    expect(Buffer.from(encodePrefix(0x01020304, 0x0506)).toString('hex')).to.equal(
      '8954474e0d0a1a0a' + '0100' + '0000' + '04030201' + '06050000',
    );
  });

  it('reads as it was written', () => {
    expect(decodePrefix(encodePrefix(5, 6), 31)).to.deep.equal({
      version: 1,
      headerBytes: 5,
      signatureBlockBytes: 6,
    });
  });

  it('allows this version and the one before, whatever this version is', () => {
    const readable = (current: number) =>
      [0, 1, 2, 3, 4, 5].filter((version) => isReadableVersion(version, current));
    expect(readable(1)).to.deep.equal([1]);
    expect(readable(2)).to.deep.equal([1, 2]);
    expect(readable(4)).to.deep.equal([3, 4]);
  });

  it('refuses every version but 1 today', async () => {
    for (const version of [0, 2, 3, 256, 0xffff]) {
      const prefix = encodePrefix(0, 0);
      new DataView(prefix.buffer).setUint16(8, version, true);
      expect(await codeOf(() => decodePrefix(prefix, 20))).to.equal('container.unknown-version');
    }
  });

  it('refuses other magic, wherever it differs and however short the file is', async () => {
    for (let i = 0; i < 8; i++) {
      const prefix = encodePrefix(0, 0);
      prefix[i] = (prefix[i] as number) ^ 1;
      expect(await codeOf(() => decodePrefix(prefix, 20))).to.equal('container.bad-magic');
      expect(await codeOf(() => decodePrefix(prefix.subarray(0, i + 1), i + 1))).to.equal(
        'container.bad-magic',
      );
    }
  });

  it('refuses a prefix that is cut', async () => {
    for (let length = 0; length < 20; length++) {
      const cut = encodePrefix(0, 0).subarray(0, length);
      expect(await codeOf(() => decodePrefix(cut, length))).to.equal('container.truncated');
    }
  });

  it('refuses anything in the two bytes that are zero', async () => {
    for (const at of [10, 11]) {
      const prefix = encodePrefix(0, 0);
      prefix[at] = 1;
      expect(await codeOf(() => decodePrefix(prefix, 20))).to.equal('container.reserved-not-zero');
    }
  });

  it('refuses lengths beyond the limits, even where the file is that long', async () => {
    const size = 2 ** 40;
    for (const [header, signatures] of [
      [MAX_HEADER_BYTES + 1, 0],
      [0xffffffff, 0],
      [0, MAX_SIGNATURE_BLOCK_BYTES + 1],
      [0, 0xffffffff],
      [0xffffffff, 0xffffffff],
    ] as const) {
      expect(await codeOf(() => decodePrefix(encodePrefix(header, signatures), size))).to.equal(
        'container.too-large',
      );
    }
    const largest = encodePrefix(MAX_HEADER_BYTES, MAX_SIGNATURE_BLOCK_BYTES);
    expect(decodePrefix(largest, size).headerBytes).to.equal(MAX_HEADER_BYTES);
  });

  it('refuses lengths that the file has no room for', async () => {
    expect(await codeOf(() => decodePrefix(encodePrefix(5, 6), 30))).to.equal('container.truncated');
  });
});
