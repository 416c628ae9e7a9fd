import { expect } from 'chai';
import fc from 'fast-check';
import { encodeMessage, switchModulus } from '../support/oracle/encoding.js';
import { mod } from '../support/oracle/ring.js';

/** A scheme small enough that all masked values c in Z_q can be tried. */
interface ToyScheme {
  readonly q: number;
  readonly wireBits: number;
  readonly plaintextBits: number;
}

/** How a masked value and a message become a wire value. */
type Wire = (scheme: ToyScheme, masked: number, message: number) => number;

/** What the protocol does: docs/protocol.md section 5. */
const messageBeforeSwitch: Wire = ({ q, wireBits, plaintextBits }, masked, message) =>
  switchModulus(q, wireBits, mod(masked + encodeMessage(q, plaintextBits, message), q));

/** What it must not do. */
const messageAfterSwitch: Wire = ({ q, wireBits, plaintextBits }, masked, message) =>
  mod(switchModulus(q, wireBits, masked) + message * 2 ** (wireBits - plaintextBits), 2 ** wireBits);

/** How many c in Z_q give each wire value: c is uniform, whatever the message, as far as LWE holds. */
function wireCounts(scheme: ToyScheme, wire: Wire, message: number): number[] {
  const counts = new Array<number>(2 ** scheme.wireBits).fill(0);
  for (let c = 0; c < scheme.q; c += 1) {
    const b = wire(scheme, c, message);
    counts[b] = (counts[b] as number) + 1;
  }
  return counts;
}

/** The messages whose wire values are distributed otherwise than those of message 0. */
function distinguishedMessages(scheme: ToyScheme, wire: Wire): number[] {
  const ofZero = wireCounts(scheme, wire, 0).join();
  const messages = Array.from({ length: 2 ** scheme.plaintextBits }, (_, m) => m);
  return messages.filter((message) => wireCounts(scheme, wire, message).join() !== ofZero);
}

const PRIMES = [97, 193, 257, 389, 521, 769, 1153, 3329];
const toyScheme = fc
  .record({ q: fc.constantFrom(...PRIMES), wireBits: fc.integer({ min: 3, max: 7 }) })
  .filter(({ q, wireBits }) => 2 ** (wireBits + 1) <= q)
  .chain(({ q, wireBits }) =>
    fc.record({
      q: fc.constant(q),
      wireBits: fc.constant(wireBits),
      plaintextBits: fc.integer({ min: 1, max: wireBits - 1 }),
    }),
  );

describe('the distribution on the wire, over all masked values at a toy prime', () => {
  it('is the same for every message when the message goes in before the switch', () => {
    fc.assert(
      fc.property(toyScheme, (scheme) => {
        expect(distinguishedMessages(scheme, messageBeforeSwitch)).to.deep.equal([]);
      }),
    );
  });

  it('tells messages apart when the message is added after the switch', () => {
    fc.assert(
      fc.property(toyScheme, (scheme) => {
        expect(distinguishedMessages(scheme, messageAfterSwitch)).to.not.deep.equal([]);
      }),
    );
  });

  it('is not uniform on the wire values, which is why the order matters', () => {
    const counts = wireCounts({ q: 97, wireBits: 5, plaintextBits: 2 }, messageBeforeSwitch, 0);
    expect(Math.max(...counts)).to.be.above(Math.min(...counts));
  });

  it('decodes either way, so that only this test tells the two apart', () => {
    const scheme: ToyScheme = { q: 3329, wireBits: 7, plaintextBits: 3 };
    for (const wire of [messageBeforeSwitch, messageAfterSwitch]) {
      for (let message = 0; message < 8; message += 1) {
        for (let masked = 0; masked < scheme.q; masked += 1) {
          const d = mod(wire(scheme, masked, message) - switchModulus(scheme.q, 7, masked), 128);
          expect(mod(Math.floor((d + 8) / 16), 8) === message).to.equal(true);
        }
      }
    }
  });
});
