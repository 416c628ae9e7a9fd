import { expect } from 'chai';
import fc from 'fast-check';
import {
  formatAge,
  formatBytes,
  formatDuration,
  formatNumber,
  formatPercent,
  plural,
  shortFingerprint,
} from '../../../lib/dashboard/model/format.js';

describe('numbers on the page', () => {
  it('have thousands apart, and three digits that count', () => {
    expect([0, 12, 1234, 1234567, -4321].map(formatNumber)).to.deep.equal([
      '0',
      '12',
      '1,234',
      '1,234,567',
      '-4,321',
    ]);
    expect([0.012345, 2.71234, 1234.6].map(formatNumber)).to.deep.equal(['0.0123', '2.71', '1,235']);
  });

  it('of bytes have their unit', () => {
    expect([0, 999, 1000, 2_500_000, 7e12].map(formatBytes)).to.deep.equal([
      ...['0 B', '999 B', '1.00 kB', '2.50 MB', '7.00 TB'],
    ]);
  });

  it('of durations have the two units that matter', () => {
    expect([0.25, 340, 4210, 42_000, 125_000, 7_800_000, 180_000_000].map(formatDuration)).to.deep.equal([
      ...['0.25 ms', '340 ms', '4.2 s', '42 s', '2 min 5 s', '2 h 10 min', '2 d 2 h'],
    ]);
  });

  it('of ages say which way, and never count below nothing', () => {
    expect(formatAge(1000, 13_400)).to.equal('12 s ago');
    expect(formatAge(5000, 5400)).to.equal('just now');
    expect(formatAge(65_000, 5000)).to.equal('in 1 min');
    fc.assert(
      fc.property(fc.integer({ min: -1e12, max: 1e12 }), (ms) => {
        expect(formatDuration(ms)).not.to.match(/-|NaN|undefined/);
      }),
    );
  });

  it('of parts, counts and fingerprints are short', () => {
    expect([0.5, 0.975, 1].map(formatPercent)).to.deep.equal(['50 %', '97.5 %', '100 %']);
    expect([plural(1, 'client'), plural(1200, 'client'), plural(2, 'entry', 'entries')]).to.deep.equal([
      ...['1 client', '1,200 clients', '2 entries'],
    ]);
    expect(shortFingerprint('ab'.repeat(32))).to.equal('abababababab…');
  });
});
