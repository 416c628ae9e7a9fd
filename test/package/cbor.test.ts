import { encode as encodeWithCborg, rfc8949EncodeOptions } from 'cborg';
import { expect } from 'chai';
import fc from 'fast-check';
import { FormatError } from '../../lib/errors.js';
import { decodeCbor } from '../../lib/package/cbor-decoding.js';
import { encodeCbor } from '../../lib/package/cbor-encoding.js';
import { codeOf } from './fixtures.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const fromHex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const decode = (bytes: Uint8Array) => decodeCbor(bytes, 'the value');

const numbers = fc.oneof(
  fc.maxSafeInteger(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.float({ noNaN: true, noDefaultInfinity: true }),
);
const keys = fc
  .string({ unit: 'grapheme', maxLength: 30 })
  .filter((key) => key !== '__proto__' && !key.startsWith('\ufeff'));
const texts = fc.string({ unit: 'grapheme', maxLength: 300 }).filter((text) => !text.startsWith('\ufeff'));
const { value: values } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    fc.boolean(),
    numbers,
    texts,
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie('value'), { maxLength: 30 }),
    fc.dictionary(keys, tie('value'), { maxKeys: 30, noNullPrototype: true }),
  ),
}));

/** cborg writes a half-precision subnormal in half precision only where it is a power of two. */
function isHalfSubnormal(value: unknown): boolean {
  return typeof value === 'number' && Math.abs(value) < 2 ** -14 && Number.isInteger(value * 2 ** 24);
}

function holdsHalfSubnormal(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array)
    return isHalfSubnormal(value) && value !== 0;
  return Object.values(value).some(holdsHalfSubnormal);
}

/** -0 is written as 0, so this is what comes back. */
function withoutNegativeZero(value: unknown): unknown {
  if (Object.is(value, -0)) return 0;
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(withoutNegativeZero);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withoutNegativeZero(item)]));
}

describe('deterministic CBOR', () => {
  describe('encoding', () => {
    it('gives the bytes of the examples in RFC 8949 appendix A', () => {
      const examples: [unknown, string][] = [
        [0, '00'],
        [23, '17'],
        [24, '1818'],
        [255, '18ff'],
        [256, '190100'],
        [1000, '1903e8'],
        [65536, '1a00010000'],
        [1000000, '1a000f4240'],
        [4294967296, '1b0000000100000000'],
        [1000000000000, '1b000000e8d4a51000'],
        [-1, '20'],
        [-10, '29'],
        [-100, '3863'],
        [-1000, '3903e7'],
        [1.1, 'fb3ff199999999999a'],
        [1.5, 'f93e00'],
        [100000.5, 'fa47c35040'],
        [1.0e300, 'fb7e37e43c8800759c'],
        [2 ** -24, 'f90001'],
        [0.00006103515625, 'f90400'],
        [-4.1, 'fbc010666666666666'],
        [false, 'f4'],
        [true, 'f5'],
        [fromHex('01020304'), '4401020304'],
        ['', '60'],
        ['IETF', '6449455446'],
        ['\u00fc', '62c3bc'],
        ['\u{10151}', '64f0908591'],
        [[], '80'],
        [[1, [2, 3], [4, 5]], '8301820203820405'],
        [{}, 'a0'],
        [{ a: 1, b: [2, 3] }, 'a26161016162820203'],
      ];
      for (const [value, expected] of examples)
        expect(hex(encodeCbor(value)), String(value)).to.equal(expected);
    });

    it('writes every half-precision number in half precision', () => {
      for (let bits = 0; bits < 0x7c00; bits++) {
        const exponent = bits >> 10;
        const fraction = bits & 0x3ff;
        const value = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
        if (Number.isInteger(value)) continue;
        expect(hex(encodeCbor(value))).to.equal(`f9${bits.toString(16).padStart(4, '0')}`);
        expect(hex(encodeCbor(-value))).to.equal(`f9${(bits | 0x8000).toString(16)}`);
      }
    });

    it('agrees with cborg, an independent encoder', () => {
      fc.assert(
        fc.property(values, (value) => {
          fc.pre(!holdsHalfSubnormal(value));
          expect(hex(encodeCbor(value))).to.equal(hex(encodeWithCborg(value, rfc8949EncodeOptions)));
        }),
        { numRuns: 500 },
      );
    });

    it('does not depend on the order in which properties were set', () => {
      expect(hex(encodeCbor({ bb: 1, a: 2, c: 3 }))).to.equal(hex(encodeCbor({ c: 3, a: 2, bb: 1 })));
    });

    it('leaves properties out that are undefined', () => {
      expect(hex(encodeCbor({ a: 1, b: undefined }))).to.equal('a1616101');
    });

    const unsupported: [string, unknown][] = [
      ['null', null],
      ['undefined in an array', [undefined]],
      ['NaN', Number.NaN],
      ['infinity', Number.POSITIVE_INFINITY],
      ['a bigint', 1n],
      ['a function', () => 1],
      ['a date', new Date(0)],
      ['a map object', new Map()],
      ['half of a surrogate pair', 'a\ud800'],
      ['a key that is half of a surrogate pair', { 'a\ud800': 1 }],
      ['the key __proto__', JSON.parse('{"__proto__": 1}')],
      ['seventeen levels', Array.from({ length: 17 }).reduce((inner) => [inner], [])],
    ];
    for (const [name, value] of unsupported) {
      it(`refuses ${name}`, async () => {
        expect(await codeOf(() => encodeCbor({ x: value }))).to.equal('cbor.unsupported-value');
      });
    }

    it('refuses a structure that contains itself', async () => {
      const loop: unknown[] = [];
      loop.push(loop);
      expect(await codeOf(() => encodeCbor(loop))).to.equal('cbor.unsupported-value');
    });
  });

  describe('decoding', () => {
    it('returns what was encoded', () => {
      fc.assert(
        fc.property(values, (value) => {
          expect(decode(encodeCbor(value))).to.deep.equal(withoutNegativeZero(value));
        }),
        { numRuns: 500 },
      );
    });

    it('shares no memory with the bytes it was given', () => {
      const bytes = Buffer.from(encodeCbor(Uint8Array.of(1, 2, 3)));
      const decoded = decode(bytes);
      bytes.fill(0);
      expect(decoded).to.deep.equal(Uint8Array.of(1, 2, 3));
    });

    const refused: [string, string][] = [
      ['no bytes at all', ''],
      ['a one-byte integer in two bytes', '1817'],
      ['a one-byte integer in three', '190017'],
      ['an integer in nine bytes that fits five', '1b00000000ffffffff'],
      ['a negative integer that is longer than need be', '3800'],
      ['an integer beyond 2^53', '1b0020000000000000'],
      ['a negative integer beyond 2^53', '3b0020000000000000'],
      ['a byte string with a long length', '580101'],
      ['text with a long length', '780161'],
      ['an array with a long length', '980101'],
      ['a map with a long length', 'b801616101'],
      ['an integer written as a float', 'f93c00'],
      ['negative zero', 'f98000'],
      ['a half-precision number in single precision', 'fa3fc00000'],
      ['a single-precision number in double precision', 'fb3ff8000000000000'],
      ['NaN', 'f97e00'],
      ['NaN with another payload', 'fa7fc00001'],
      ['infinity', 'f97c00'],
      ['minus infinity in double precision', 'fbfff0000000000000'],
      ['null', 'f6'],
      ['undefined', 'f7'],
      ['an unassigned simple value', 'e0'],
      ['a simple value in two bytes', 'f8ff'],
      ['a tag', 'c101'],
      ['a bignum', 'c24101'],
      ['an indefinite byte string', '5f4101ff'],
      ['indefinite text', '7f6161ff'],
      ['an indefinite array', '9f01ff'],
      ['an indefinite map', 'bf616101ff'],
      ['a lone break', 'ff'],
      ['a break inside an array', '81ff'],
      ['trailing bytes', '0100'],
      ['a second value', 'a0a0'],
      ['an array that ends early', '8201'],
      ['a map without its last value', 'a16161'],
      ['text that ends early', '6261'],
      ['text that is not UTF-8', '61ff'],
      ['text with an overlong UTF-8 sequence', '62c080'],
      ['text with a surrogate', '63eda080'],
      ['text that begins with a byte order mark', '63efbbbf'],
      ['an integer key', 'a10101'],
      ['a byte string key', 'a1410101'],
      ['an array as a key', 'a18001'],
      ['keys out of order', 'a2616201616101'],
      ['a longer key before a shorter one', 'a262616101616201'],
      ['a key that occurs twice', 'a2616101616101'],
      ['a key that occurs twice with two values', 'a2616101616102'],
      ['the key __proto__', 'a1695f5f70726f746f5f5f01'],
      ['the key __proto__ with a map', 'a1695f5f70726f746f5f5fa1617801'],
      ['an array that claims 2^32 - 1 items', '9affffffff'],
      ['an array that claims 2^53 items', '9b0020000000000000'],
      ['a map that claims 2^32 - 1 entries', 'baffffffff'],
      ['a byte string that claims 2^32 - 1 bytes', '5affffffff'],
      ['text that claims 2^32 - 1 bytes', '7affffffff'],
      ['seventeen levels of arrays', `${'81'.repeat(17)}01`],
      ['seventeen levels of maps', `${'a16161'.repeat(17)}01`],
      ['a hundred thousand levels', '81'.repeat(100_000)],
    ];
    for (const [name, bytes] of refused) {
      it(`refuses ${name}`, async () => {
        expect(await codeOf(() => decode(fromHex(bytes)))).to.equal('container.not-canonical');
      });
    }

    it('refuses depth and impossible counts as it meets them, before it builds or recurses', () => {
      const deep = '81'.repeat(100_000);
      expect(() => decode(fromHex(deep))).to.throw(FormatError, 'it nests deeper than 16 levels');
      const claims = 'an array or map claims more items than bytes follow';
      expect(() => decode(fromHex('8401'))).to.throw(FormatError, claims);
      expect(() => decode(fromHex('a2616101'))).to.throw(FormatError, claims);
    });

    it('accepts sixteen levels', () => {
      expect(hex(encodeCbor(decode(fromHex(`${'81'.repeat(16)}01`))))).to.equal(`${'81'.repeat(16)}01`);
    });

    it('refuses more than a million items, which would cost a hundred times their bytes', async () => {
      const items = new Uint8Array((1 << 20) + 5);
      items.set(fromHex('9a00100000'));
      expect(await codeOf(() => decode(items))).to.equal('container.not-canonical');
    });

    it('leaves the prototype of objects alone', async () => {
      await codeOf(() => decode(fromHex('a1695f5f70726f746f5f5fa1617801')));
      expect(Object.hasOwn(Object.prototype, 'x')).to.equal(false);
      const decoded = decode(fromHex('a16b636f6e7374727563746f7201'));
      expect(Object.getPrototypeOf(decoded)).to.equal(Object.prototype);
      expect(decoded).to.deep.equal({ constructor: 1 });
    });

    it('accepts exactly the bytes that it would write, whatever it is given', () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
          let value: unknown;
          try {
            value = decode(bytes);
          } catch (error) {
            expect(error).to.have.property('code', 'container.not-canonical');
            return;
          }
          expect(hex(encodeCbor(value))).to.equal(hex(bytes));
        }),
        { numRuns: 5000 },
      );
    });
  });
});
