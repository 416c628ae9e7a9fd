import { expect } from 'chai';
import fc from 'fast-check';
import { encodeFields, type Field, hex } from '../../lib/custody/fields.js';
import { expectRefusal } from '../support/refusals.js';

const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 8 });
const bytes = fc.uint8Array({ maxLength: 8 });

describe('custody fields', () => {
  it('encode each field as its length and its bytes, the label first', () => {
    const encoded = encodeFields('ab', [
      ['text', 'ü'],
      ['integer', 258],
      ['bytes', Uint8Array.of(9, 8)],
    ]);
    expect(hex(encoded)).to.equal(
      '020000006162' + '02000000c3bc' + '080000000201000000000000' + '020000000908',
    );
  });

  it('give different bytes for different lists of byte strings, however they are split', () => {
    fc.assert(
      fc.property(fc.array(bytes, { maxLength: 4 }), fc.array(bytes, { maxLength: 4 }), (left, right) => {
        const encode = (list: Uint8Array[]) =>
          hex(
            encodeFields(
              'l',
              list.map((item): Field => ['item', item]),
            ),
          );
        const same = JSON.stringify(left.map(hex)) === JSON.stringify(right.map(hex));
        expect(encode(left) === encode(right)).to.equal(same);
      }),
    );
  });

  it('do not collide when a boundary between two texts moves', () => {
    fc.assert(
      fc.property(text, text, fc.nat(), (first, second, at) => {
        const points = [...(first + second)];
        const cut = 1 + (at % (points.length - 1));
        const moved = [points.slice(0, cut).join(''), points.slice(cut).join('')] as const;
        fc.pre(moved[0] !== first);
        const original = encodeFields('l', [
          ['a', first],
          ['b', second],
        ]);
        const shifted = encodeFields('l', [
          ['a', moved[0]],
          ['b', moved[1]],
        ]);
        expect(hex(original)).to.not.equal(hex(shifted));
      }),
    );
  });

  for (const [what, value, code] of [
    ['an empty text', '', 'field.bad-text'],
    ['a text of 256 bytes', 'é'.repeat(128), 'field.bad-text'],
    ['a lone surrogate, which UTF-8 would turn into U+FFFD', 'a\ud800', 'field.bad-text'],
    ['a negative integer', -1, 'field.bad-integer'],
    ['a fraction', 1.5, 'field.bad-integer'],
    ['an integer that a double does not hold exactly', 2 ** 53, 'field.bad-integer'],
    ['NaN', Number.NaN, 'field.bad-integer'],
  ] as const) {
    it(`refuse ${what}`, async () => {
      await expectRefusal(code, () => encodeFields('label', [['field', value]]));
    });
  }

  it('accept the longest text and the largest integer', () => {
    expect(
      encodeFields('l', [
        ['text', 'x'.repeat(255)],
        ['integer', Number.MAX_SAFE_INTEGER],
      ]).length,
    ).to.equal(5 + 259 + 12);
  });
});
