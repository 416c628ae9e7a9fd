/** fast-check arbitraries for updates: any widths that the format admits, any number of values. */
import fc from 'fast-check';
import type { OracleRing } from './ring.js';
import type { Widths } from './round.js';
import { seededBytes } from './seeded.js';

/** Any fold, field and wire width that leave at least one bit between plaintext and wire. */
export function anyWidths(ring: OracleRing): fc.Arbitrary<Widths> {
  return fc
    .integer({ min: 1, max: 5 })
    .chain((fold) =>
      fc.record({
        fold: fc.constant(fold),
        fieldBits: fc.integer({ min: 2, max: Math.min(20, Math.floor((ring.maxWireBits - 1) / fold)) }),
      }),
    )
    .chain(({ fold, fieldBits }) =>
      fc
        .integer({ min: Math.max(4, fold * fieldBits + 1), max: ring.maxWireBits })
        .map((wireBits) => ({ fold, fieldBits, plaintextBits: fold * fieldBits, wireBits })),
    );
}

export interface UpdateCase {
  readonly widths: Widths;
  readonly ringElements: number;
  readonly valueCount: number;
  readonly seed: number;
}

/** An update of up to `maxElements` ring elements; values fill the last one only in part. */
export function anyUpdate(ring: OracleRing, maxElements: number): fc.Arbitrary<UpdateCase> {
  return fc
    .record({
      widths: anyWidths(ring),
      ringElements: fc.integer({ min: 1, max: maxElements }),
      filled: fc.oneof(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), fc.constant(1)),
      seed: fc.nat(),
    })
    .map(({ widths, ringElements, filled, seed }) => {
      const least = (ringElements - 1) * ring.n * widths.fold + 1;
      const most = ringElements * ring.n * widths.fold;
      return { widths, ringElements, seed, valueCount: least + Math.round(filled * (most - least)) };
    });
}

/** The keys of a round, and a client's randomness, from a seed. */
export function roundKeys(seed: number): { maskKey: Uint8Array; planFingerprint: Uint8Array } {
  return { maskKey: seededBytes(seed, 'mask key'), planFingerprint: seededBytes(seed, 'plan fingerprint') };
}

export function hedgeOf(seed: number, client = 0): Uint8Array {
  return seededBytes(seed, `hedge of client ${client}`, 80);
}
