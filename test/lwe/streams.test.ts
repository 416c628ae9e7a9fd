import { createCipheriv, hkdfSync } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { ParameterError } from '../../lib/errors.js';
import { maskKey, messageDigest, type StreamPurpose, streamKey } from '../../lib/lwe/streams.js';
import { LWE_128, LWE_192 } from '../support/oracle/ring.js';
import { seededBytes, seededValues } from '../support/oracle/seeded.js';
import { deriveKey } from '../support/oracle/streams.js';

const PURPOSES: StreamPurpose[] = [
  'public mask',
  'secret',
  'error',
  'secret seed',
  'share 1',
  'share 12',
  'share expansion',
];

/** GMAC by its definition, NIST SP 800-38D section 7: GHASH over the data and its length, masked. */
function gmac(key: Uint8Array, data: Uint8Array): Uint8Array {
  const aes = (block: Uint8Array): Buffer =>
    createCipheriv('aes-256-ecb', key, null).setAutoPadding(false).update(block);
  const number = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
  const hashKey = number(aes(Buffer.alloc(16)));
  const multiply = (x: bigint): bigint => {
    let product = 0n;
    for (let bit = 127n, v = hashKey; bit >= 0n; bit -= 1n) {
      if ((x >> bit) & 1n) product ^= v;
      v = v & 1n ? (v >> 1n) ^ (0xe1n << 120n) : v >> 1n;
    }
    return product;
  };
  const padded = Buffer.alloc(16 * Math.ceil(data.length / 16) + 16);
  padded.set(data);
  padded.writeBigUInt64BE(BigInt(8 * data.length), padded.length - 16);
  let hash = 0n;
  for (let at = 0; at < padded.length; at += 16) hash = multiply(hash ^ number(padded.subarray(at, at + 16)));
  const counter = Buffer.alloc(16);
  counter[15] = 1;
  return Buffer.from((hash ^ number(aes(counter))).toString(16).padStart(32, '0'), 'hex');
}

function digestKey(prfKey: Uint8Array): Uint8Array {
  return Buffer.from(hkdfSync('sha256', prfKey, '', 'tensorguard-native v1 message digest', 32));
}

describe('stream keys', () => {
  const ikm = seededBytes(1, 'ikm', 80);
  const fingerprint = seededBytes(1, 'fingerprint');

  it('follow the label of the protocol', () => {
    for (const ring of [LWE_192, LWE_128]) {
      for (const purpose of PURPOSES) {
        const key = streamKey(ikm, purpose, ring.name, fingerprint);
        expect(Buffer.from(key)).to.deep.equal(deriveKey(ikm, purpose, ring, fingerprint));
      }
    }
  });

  it('differ with purpose, parameter set, plan and key material', () => {
    const keys = [ikm, seededBytes(2, 'ikm', 80)].flatMap((material) =>
      [fingerprint, seededBytes(2, 'fingerprint')].flatMap((plan) =>
        (['lwe-192', 'lwe-128'] as const).flatMap((set) =>
          PURPOSES.map((purpose) => Buffer.from(streamKey(material, purpose, set, plan)).toString('hex')),
        ),
      ),
    );
    expect(new Set(keys).size).to.equal(keys.length);
  });

  it('give the public mask from the seed of the plan', () => {
    const seed = seededBytes(3, 'seed');
    expect(maskKey(seed, 'lwe-192', fingerprint)).to.deep.equal(
      streamKey(seed, 'public mask', 'lwe-192', fingerprint),
    );
  });

  it('refuse a fingerprint, a seed or a PRF key of the wrong length', () => {
    const short = fingerprint.subarray(1);
    for (const attempt of [
      () => streamKey(ikm, 'error', 'lwe-192', short),
      () => maskKey(ikm, 'lwe-192', fingerprint),
      () => messageDigest(short, new Int32Array(1)),
    ]) {
      expect(attempt).to.throw(ParameterError).with.property('code', 'stream.wrong-length');
    }
  });
});

describe('the message digest', () => {
  const prfKey = seededBytes(4, 'prf key');

  it('is GMAC over the little-endian values', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), { maxLength: 40 }),
        (values) => {
          const bytes = Buffer.alloc(4 * values.length);
          values.forEach((value, i) => {
            bytes.writeInt32LE(value, 4 * i);
          });
          const digest = messageDigest(prfKey, Int32Array.from(values));
          expect(Buffer.from(digest)).to.deep.equal(gmac(digestKey(prfKey), bytes));
        },
      ),
    );
  });

  it('does not depend on the pieces in which a long message is hashed', () => {
    const values = new Int32Array(5_000_000).map((_, i) => i % 255);
    const whole = createCipheriv('aes-256-gcm', digestKey(prfKey), Buffer.alloc(12));
    whole.setAAD(Buffer.from(values.buffer)).final();
    expect(Buffer.from(messageDigest(prfKey, values))).to.deep.equal(whole.getAuthTag());
  });

  it('covers the view and nothing around it', () => {
    const values = seededValues(6, 'values', 100, 127);
    expect(messageDigest(prfKey, values.subarray(3, 50))).to.deep.equal(
      messageDigest(prfKey, values.slice(3, 50)),
    );
  });

  it('changes with any one value, with the length and with the key', () => {
    const values = seededValues(7, 'values', 100, 127);
    const digests = [messageDigest(prfKey, values), messageDigest(seededBytes(8, 'prf key'), values)];
    for (const at of [0, 50, 99]) {
      const changed = values.slice();
      changed[at] = (changed[at] as number) + 1;
      digests.push(messageDigest(prfKey, changed));
    }
    digests.push(messageDigest(prfKey, Int32Array.from([...values, 0])));
    expect(new Set(digests.map((digest) => Buffer.from(digest).toString('hex'))).size).to.equal(6);
  });
});
