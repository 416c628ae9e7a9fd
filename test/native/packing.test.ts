import { expect } from 'chai';
import { packChunk, unpackChunk } from '../support/oracle/packing.js';
import { RINGS } from '../support/oracle/ring.js';
import { seededBytes, seededWordsWithEdges } from '../support/oracle/seeded.js';
import { testingAddon, vectorIsas } from '../support/testing-addon.js';

for (const ring of RINGS) {
  const set = ring.nativeId;
  const widths = Array.from({ length: ring.maxWireBits - 3 }, (_, i) => i + 4);
  const cases = widths.flatMap((wireBits) => [1, 2, 3, 4, 5, 6, 7, 8].map((lanes) => ({ wireBits, lanes })));
  const coefficientsOf = (wireBits: number, lanes: number): Uint32Array =>
    seededWordsWithEdges(wireBits, `coefficients ${lanes}`, ring.n * lanes, 2 ** wireBits);

  describe(`native packing (${ring.name})`, () => {
    it('lays coefficients out as the protocol says, and reads them back, for every wire width (scalar)', () => {
      // Every width, and every number of lanes: the oracle is too slow for all pairs.
      for (const { wireBits, lanes } of cases.filter(
        (x) => x.lanes === 1 + (x.wireBits % 8) || x.wireBits % 9 === 0,
      )) {
        const coefficients = coefficientsOf(wireBits, lanes);
        const packed = testingAddon.pack('scalar', set, wireBits, lanes, coefficients);
        const message = `k = ${wireBits}, ${lanes} lanes`;
        expect(Buffer.from(packed).equals(packChunk(coefficients, lanes, wireBits)), message).to.equal(true);
        const bytes = seededBytes(wireBits, 'packed', packed.length);
        const unpacked = testingAddon.unpack('scalar', set, wireBits, lanes, bytes);
        expect(unpacked, message).to.deep.equal(unpackChunk(bytes, lanes, wireBits));
      }
    });

    it('comes back for every wire width and number of lanes (scalar)', () => {
      for (const { wireBits, lanes } of cases) {
        const coefficients = coefficientsOf(wireBits, lanes);
        const packed = testingAddon.pack('scalar', set, wireBits, lanes, coefficients);
        const back = testingAddon.unpack('scalar', set, wireBits, lanes, packed);
        expect(Buffer.compare(Buffer.from(back.buffer), Buffer.from(coefficients.buffer))).to.equal(0);
      }
    });

    for (const isa of vectorIsas) {
      it(`agrees with scalar for every wire width and number of lanes (${isa})`, () => {
        for (const { wireBits, lanes } of cases) {
          const message = `k = ${wireBits}, ${lanes} lanes`;
          const coefficients = coefficientsOf(wireBits, lanes);
          const [packed, packedByScalar] = [isa, 'scalar'].map((name) =>
            testingAddon.pack(name, set, wireBits, lanes, coefficients),
          ) as [Uint8Array, Uint8Array];
          expect(Buffer.compare(packed, packedByScalar), message).to.equal(0);
          const [unpacked, unpackedByScalar] = [isa, 'scalar'].map((name) =>
            Buffer.from(testingAddon.unpack(name, set, wireBits, lanes, packed).buffer),
          ) as [Buffer, Buffer];
          expect(Buffer.compare(unpacked, unpackedByScalar), message).to.equal(0);
        }
      });
    }
  });
}
