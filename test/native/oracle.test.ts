import { createHash } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { encodeMessage, switchModulus } from '../support/oracle/encoding.js';
import { foldFields, unfoldFields } from '../support/oracle/folding.js';
import { packElements, unpackElements } from '../support/oracle/packing.js';
import {
  evaluateAt,
  fromNttDomain,
  LWE_128,
  mod,
  multiplyMod,
  negacyclicProduct,
  powerMod,
  RINGS,
  rootExponent,
  smallestPrimitiveRoot,
  smallProduct,
  toNttDomain,
} from '../support/oracle/ring.js';
import { seededWords } from '../support/oracle/seeded.js';
import { interpolate } from '../support/oracle/shamir.js';
import { keystream, smallElement } from '../support/oracle/streams.js';

const WORD = 2 ** 32;

describe('the oracle', () => {
  it('runs ChaCha20 as RFC 8439 does (appendix A.1, vectors 1 and 2)', () => {
    const words = keystream(new Uint8Array(32), 0, 32);
    const bytes = Buffer.from(words.buffer).toString('hex');
    expect(bytes.slice(0, 64)).to.equal('76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7');
    expect(bytes.slice(128, 192)).to.equal(
      '9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed',
    );
  });

  for (const ring of RINGS) {
    it(`evaluates a polynomial as Horner's rule in BigInt does (${ring.name})`, () => {
      const polynomial = seededWords(1, 'polynomial', ring.n, ring.q);
      const q = BigInt(ring.q);
      const psi = smallestPrimitiveRoot(ring.n, ring.q);
      for (const i of [0, 1, 2, 777, ring.n - 1]) {
        const root = BigInt(powerMod(psi, rootExponent(ring, i), ring.q));
        const value = polynomial.reduceRight(
          (sum, coefficient) => (sum * root + BigInt(coefficient)) % q,
          0n,
        );
        expect(evaluateAt(ring, polynomial, i)).to.equal(Number(value));
      }
    });

    it(`takes the smallest root of X^n + 1 as psi (${ring.name})`, () => {
      const psi = smallestPrimitiveRoot(ring.n, ring.q);
      expect(powerMod(psi, ring.n, ring.q)).to.equal(ring.q - 1);
      for (let smaller = 2; smaller < Math.min(psi, 5000); smaller += 1) {
        expect(powerMod(smaller, ring.n, ring.q)).to.not.equal(ring.q - 1);
      }
    });

    it(`comes back from the NTT domain (${ring.name})`, () => {
      const polynomial = seededWords(2, 'polynomial', ring.n, ring.q);
      expect(fromNttDomain(ring, toNttDomain(ring, polynomial))).to.deep.equal(polynomial);
    });

    it(`multiplies by a small secret as the schoolbook in BigInt does (${ring.name})`, () => {
      const a = seededWords(3, 'a', ring.n, ring.q);
      const secret = smallElement(ring, new Uint8Array(32), 0);
      const residues = secret.map((s) => mod(s, ring.q));
      expect(smallProduct(ring, a, secret)).to.deep.equal(negacyclicProduct(ring.q, a, residues));
    });
  }

  it('multiplies pointwise in the NTT domain what it multiplies by the schoolbook', () => {
    const [a, b] = [4, 5].map((seed) => seededWords(seed, 'factor', LWE_128.n, LWE_128.q)) as [
      Uint32Array,
      Uint32Array,
    ];
    const [wideA, wideB] = [toNttDomain(LWE_128, a), toNttDomain(LWE_128, b)];
    const product = wideA.map((x, i) => multiplyMod(x, wideB[i] as number, LWE_128.q));
    expect(fromNttDomain(LWE_128, product)).to.deep.equal(negacyclicProduct(LWE_128.q, a, b));
  });

  it('wraps a product round X^n = -1', () => {
    // (1 + 2X)(3 + X^3) mod X^4 + 1 = 1*3 + 6X + X^3 + 2X^4 = 1 + 6X + X^3.
    expect([...negacyclicProduct(97, [1, 2, 0, 0], [3, 0, 0, 1])]).to.deep.equal([1, 6, 0, 1]);
  });

  it('rounds to the nearest, half up', () => {
    // 97 * m / 4: 24.25, 48.5, 72.75; c * 8 / 97: 48 * 8 / 97 = 3.96, 91 * 8 / 97 = 7.505 wraps to 0.
    expect([0, 1, 2, 3].map((m) => encodeMessage(97, 2, m))).to.deep.equal([0, 24, 49, 73]);
    expect([0, 6, 7, 48, 90, 91, 96].map((c) => switchModulus(97, 3, c))).to.deep.equal([
      0, 0, 1, 4, 7, 0, 0,
    ]);
  });

  it('packs and unpacks without loss, chunk by chunk', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 4, max: 28 }),
        (seed, count, wireBits) => {
          const n = 64;
          const elements = Array.from({ length: count }, (_, j) =>
            seededWords(seed, `${j}`, n, 2 ** wireBits),
          );
          const packed = packElements(elements, wireBits);
          expect(packed).to.have.length((count * n * wireBits) / 8);
          expect(unpackElements(packed, n, count, wireBits)).to.deep.equal(elements);
        },
      ),
      { numRuns: 20 },
    );
  });

  it('packs in the order that the protocol fixes', () => {
    // Two lanes, 32 coefficients, k = 5: lane 0 holds 1 at coefficient 0, lane 1 holds 31 at coefficient 6
    // (bits 30..34: two in word 0, three in word 1).
    const [first, second] = [new Uint32Array(32), new Uint32Array(32)];
    first[0] = 1;
    second[6] = 31;
    const packed = Buffer.from(packElements([first, second], 5));
    const words = Array.from({ length: 10 }, (_, i) => packed.readUInt32LE(4 * i));
    expect(words).to.deep.equal([1, (3 * 2 ** 30) % WORD, 0, 7, 0, 0, 0, 0, 0, 0]);
  });

  it('unfolds the sums of folded values', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 12 }).chain((fieldBits) =>
          fc.tuple(
            fc.constant(fieldBits),
            fc.array(fc.integer({ min: 1 - 2 ** (fieldBits - 1), max: 2 ** (fieldBits - 1) - 1 }), {
              minLength: 1,
              maxLength: 4,
            }),
          ),
        ),
        ([fieldBits, fields]) => {
          const message = foldFields(fields, fieldBits);
          expect(unfoldFields(message, fieldBits, fields.length).map((x) => x + 0)).to.deep.equal(fields);
        },
      ),
    );
  });

  it('interpolates a polynomial that passes through given points', () => {
    // y = 5 + 3x + 2x^2 mod 97.
    const rows = [1, 2, 4].map((x) => Uint32Array.of((5 + 3 * x + 2 * x * x) % 97));
    expect([...interpolate(97, [1, 2, 4], rows, 0)]).to.deep.equal([5]);
    expect([...interpolate(97, [1, 2, 4], rows, 3)]).to.deep.equal([(5 + 9 + 18) % 97]);
  });

  it('draws test inputs that are the same for the same seed', () => {
    const digest = createHash('sha256')
      .update(seededWords(1, 'fixed', 1000, 1000))
      .digest('hex');
    expect(digest).to.equal(
      createHash('sha256')
        .update(seededWords(1, 'fixed', 1000, 1000))
        .digest('hex'),
    );
    expect(Math.max(...seededWords(1, 'fixed', 1000, 7))).to.equal(6);
  });
});
