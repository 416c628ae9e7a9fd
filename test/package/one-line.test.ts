import { expect } from 'chai';
import fc from 'fast-check';
import { textSchema } from '../../lib/package/messages/common.js';
import { oneLine } from '../../lib/package/one-line.js';

describe('text on one line', () => {
  it('is what a field of one line takes, whatever it was', () => {
    const field = textSchema(40);
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60, size: 'max' }), (text) => {
        expect(field.safeParse(oneLine(text, 40)).success, JSON.stringify(text)).to.equal(true);
      }),
    );
    expect(oneLine(`${'a'.repeat(39)}\u{1f916}`, 40)).to.equal('a'.repeat(39));
    expect(oneLine('a\r\n\u001b[31mb\u2028c', 40)).to.equal('a [31mb c');
    expect(oneLine('\n', 40)).to.equal(' ');
    expect(oneLine('', 40)).to.equal('-');
  });
});
