import { expect } from 'chai';
import fc from 'fast-check';
import { anyUpdate, hedgeOf, roundKeys } from '../support/oracle/cases.js';
import { encodeMessage, switchModulus } from '../support/oracle/encoding.js';
import { messagesOf } from '../support/oracle/folding.js';
import { packElements } from '../support/oracle/packing.js';
import { fromNttDomain, mod, type OracleRing, RINGS, smallProduct } from '../support/oracle/ring.js';
import { seededValues } from '../support/oracle/seeded.js';
import { secretFromSeed } from '../support/oracle/shamir.js';
import { deriveKey, smallElement, uniformElement } from '../support/oracle/streams.js';
import {
  type TestingEncryption,
  type TestingSegment,
  testingAddon,
  vectorIsas,
} from '../support/testing-addon.js';

const ISAS = testingAddon.isas();

interface SegmentedUpdate {
  readonly job: TestingEncryption;
  /** The values of each segment. */
  readonly parts: readonly Int32Array[];
}

function ringElements(ring: OracleRing, { valueCount, fold }: TestingSegment): number {
  return Math.ceil(Math.ceil(valueCount / fold) / ring.n);
}

function concatenated(parts: readonly Int32Array[]): Int32Array {
  return Int32Array.from(parts.flatMap((part) => [...part]));
}

/** An update of any widths, back to back from any ring element on. */
function anySegments(
  ring: OracleRing,
  maxSegments: number,
  maxElements: number,
): fc.Arbitrary<SegmentedUpdate> {
  return fc
    .record({
      updates: fc.array(anyUpdate(ring, maxElements), { minLength: 1, maxLength: maxSegments }),
      first: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2 ** 32 - 2000 })),
      seed: fc.nat(),
    })
    .map(({ updates, first, seed }) => {
      let firstElement = first;
      const segments = updates.map(({ widths, valueCount }): TestingSegment => {
        const valueBound = 2 ** (widths.fieldBits - 1) - 1;
        const segment = { set: ring.nativeId, ...widths, firstElement, valueCount, valueBound };
        firstElement += ringElements(ring, segment);
        return segment;
      });
      const parts = segments.map(({ valueCount, valueBound }, i) =>
        seededValues(seed, `values ${i}`, valueCount, valueBound),
      );
      const job = {
        segments,
        ...roundKeys(seed % 2),
        hedge: hedgeOf(seed),
        values: concatenated(parts),
        threshold: 1 + (seed % 3),
        custodians: 3,
        threads: 1 + (seed % 2),
      };
      return { job, parts };
    });
}

/** Each segment encrypted as an update of its own, under the same hedge. */
function encryptedApart(isa: string, { job, parts }: SegmentedUpdate) {
  return job.segments.map((segment, i) =>
    testingAddon.encrypt(isa, { ...job, segments: [segment], values: parts[i] as Int32Array }),
  );
}

/** docs/protocol.md section 5, each ring element with the mask and the error of its own number. */
function encryptedByProtocol(ring: OracleRing, { job, parts }: SegmentedUpdate): Buffer {
  const { maskKey, planFingerprint, hedge } = job;
  const secret = secretFromSeed(
    ring,
    deriveKey(hedge, 'secret seed', ring, planFingerprint),
    planFingerprint,
  );
  const errorKey = deriveKey(hedge, 'error', ring, planFingerprint);
  const packed = job.segments.map((segment, i) => {
    const { plaintextBits, wireBits, firstElement } = segment;
    const messages = messagesOf({ n: ring.n, ...segment }, parts[i] as Int32Array);
    const elements = messages.map((row, j) => {
      const number = firstElement + j;
      const product = smallProduct(ring, fromNttDomain(ring, uniformElement(ring, maskKey, number)), secret);
      const error = smallElement(ring, errorKey, number);
      return row.map((message, x) => {
        const masked = (product[x] as number) + (error[x] as number);
        return switchModulus(
          ring.q,
          wireBits,
          mod(masked + encodeMessage(ring.q, plaintextBits, message), ring.q),
        );
      });
    });
    return packElements(elements, wireBits);
  });
  return Buffer.concat(packed);
}

function expectSameBytes(found: Uint8Array, expected: Uint8Array): void {
  expect(found.length).to.equal(expected.length);
  expect(Buffer.compare(found, expected)).to.equal(0);
}

for (const ring of RINGS) {
  describe(`an update of several segments (${ring.name})`, () => {
    it('has the bytes of the protocol, every ring element with a mask and an error of its own number (scalar)', () => {
      fc.assert(
        fc.property(anySegments(ring, 4, 1), (update) => {
          expectSameBytes(
            testingAddon.encrypt('scalar', update.job).ciphertext,
            encryptedByProtocol(ring, update),
          );
        }),
        { numRuns: 4 },
      );
    });

    for (const isa of ISAS) {
      it(`is its segments encrypted one by one, under the same secret (${isa})`, () => {
        fc.assert(
          fc.property(anySegments(ring, 7, 10), (update) => {
            const whole = testingAddon.encrypt(isa, update.job);
            const apart = encryptedApart(isa, update);
            expectSameBytes(whole.ciphertext, Buffer.concat(apart.map(({ ciphertext }) => ciphertext)));
            for (const { shares } of apart) expect(shares).to.deep.equal(whole.shares);
          }),
          { numRuns: 15 },
        );
      });
    }

    for (const isa of vectorIsas) {
      it(`agrees with scalar, over any number of threads (${isa})`, () => {
        fc.assert(
          fc.property(anySegments(ring, 7, 10), fc.integer({ min: 1, max: 5 }), ({ job }, threads) => {
            const scalar = testingAddon.encrypt('scalar', job);
            const vector = testingAddon.encrypt(isa, { ...job, threads });
            expectSameBytes(vector.ciphertext, scalar.ciphertext);
          }),
          { numRuns: 15 },
        );
      });
    }

    for (const isa of ISAS) {
      it(`numbers ring elements up to the last number that there is (${isa})`, () => {
        const widths = { fold: 1, fieldBits: 12, plaintextBits: 12, wireBits: 17 };
        const elements = 9;
        for (const firstElement of [1, 7, 8, 2 ** 31 - 4, 2 ** 32 - 1 - 8 - elements]) {
          const segment = {
            ...{ set: ring.nativeId, ...widths, firstElement },
            ...{ valueCount: elements * ring.n, valueBound: 2047 },
          };
          const encryptAt = (segments: TestingSegment[], values: Int32Array) =>
            testingAddon.encrypt(isa, {
              ...{ segments, values, ...roundKeys(1), hedge: hedgeOf(1) },
              ...{ threshold: 1, custodians: 1, threads: 1 },
            }).ciphertext;
          const values = seededValues(3, 'values', segment.valueCount, 2047);
          const apart = Array.from({ length: elements }, (_, j) => {
            // One lane a chunk: element j has the values at every ninth place, or every eighth in the full chunk.
            const own = Int32Array.from({ length: ring.n }, (_unused, x) =>
              j < 8 ? (values[8 * x + j] as number) : (values[8 * ring.n + x] as number),
            );
            const alone = { ...segment, firstElement: firstElement + j, valueCount: ring.n };
            return testingAddon.unpack('scalar', ring.nativeId, 17, 1, encryptAt([alone], own));
          });
          const whole = encryptAt([segment], values);
          const chunkBytes = (8 * ring.n * 17) / 8;
          const full = testingAddon.unpack(
            'scalar',
            ring.nativeId,
            17,
            8,
            whole.subarray(0, chunkBytes).slice(),
          );
          const rest = testingAddon.unpack(
            'scalar',
            ring.nativeId,
            17,
            1,
            whole.subarray(chunkBytes).slice(),
          );
          for (let j = 0; j < 8; j += 1) {
            const lane = Uint32Array.from({ length: ring.n }, (_, x) => full[8 * x + j] as number);
            expect(lane, `element ${j} from ${firstElement} on`).to.deep.equal(apart[j]);
          }
          expect(rest).to.deep.equal(apart[8]);
        }
      });

      it(`is refused whole where one value is beyond the bound of its own segment (${isa})`, () => {
        const widths = { fold: 1, fieldBits: 12, plaintextBits: 12, wireBits: 17 };
        const segmentOf = (firstElement: number, valueBound: number): TestingSegment => ({
          ...{ set: ring.nativeId, ...widths, firstElement, valueBound },
          valueCount: ring.n,
        });
        const attempt = (values: Int32Array) => () =>
          testingAddon.encrypt(isa, {
            segments: [segmentOf(0, 7), segmentOf(1, 127), segmentOf(2, 1)],
            ...{ values, ...roundKeys(1), hedge: hedgeOf(1) },
            ...{ threshold: 1, custodians: 1, threads: 1 },
          });
        const good = new Int32Array(3 * ring.n).fill(1);
        good.fill(7, 0, ring.n);
        good.fill(-127, ring.n, 2 * ring.n);
        expect(attempt(good)).to.not.throw();
        for (const [at, beyond] of [
          [ring.n - 1, 8],
          [ring.n, 128],
          [2 * ring.n - 1, -128],
          [2 * ring.n, 2],
          [3 * ring.n - 1, -2],
        ] as [number, number][]) {
          const bad = good.slice();
          bad[at] = beyond;
          expect(attempt(bad), `${beyond} at ${at}`).to.throw();
        }
      });
    }
  });
}
