import { expect } from 'chai';
import { showableLine } from '../../../lib/custody/wrappers/stderr-line.js';
import { bytes32 } from '../support/bytes.js';

const secret = bytes32('secret');
const shown = (text: string) => showableLine(Buffer.from(text), [secret]);

describe('the error output of a program', () => {
  it('is shown as one short line without control characters', () => {
    expect(shown('\n  AccessDenied: key\u0007 \u001b[1marn:aws:kms\nsecond line')).to.equal(
      'AccessDenied: key   [1marn:aws:kms',
    );
    expect(shown('x'.repeat(4000))).to.equal('x'.repeat(200));
    expect(shown('')).to.contain('nothing');
  });

  it('is withheld from eight equal bytes on, wherever they are, and shown with seven', () => {
    for (const start of [0, 1, 2, 24]) {
      const eight = Buffer.from(secret.subarray(start, start + 8));
      const seven = eight.subarray(0, 7);
      for (const encode of [
        (bytes: Buffer) => bytes.toString('hex'),
        (bytes: Buffer) => bytes.toString('hex').toUpperCase(),
        (bytes: Buffer) => bytes.toString('base64'),
        (bytes: Buffer) => bytes.toString('base64url'),
      ]) {
        expect(shown(`first\nkey=${encode(eight)}.`)).to.contain('withheld');
        expect(shown(`first\nkey=${encode(seven)}.`)).to.equal('first');
      }
      const plain = Buffer.concat([Buffer.from('first\n'), eight]);
      expect(showableLine(plain, [secret])).to.contain('withheld');
      expect(showableLine(plain.subarray(0, -1), [secret])).to.equal('first');
    }
  });
});
