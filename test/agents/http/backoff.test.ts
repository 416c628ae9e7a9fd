import { expect } from 'chai';
import fc from 'fast-check';
import { DEFAULT_BACKOFF, delayMs, parseRetryAfter } from '../../../lib/agents/http/backoff.js';

describe('backoff', () => {
  it('doubles up to its limit, with full jitter', () => {
    const attempt = fc.integer({ min: 1, max: 60 });
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(attempt, random, (n, r) => {
        const delay = delayMs(DEFAULT_BACKOFF, n, undefined, r);
        return delay >= 0 && delay <= Math.min(30_000, 500 * 2 ** (n - 1));
      }),
    );
    expect(delayMs(DEFAULT_BACKOFF, 3, undefined, 0.5)).to.equal(1000);
  });

  it('waits for as long as the server asks for, within reason', () => {
    expect(delayMs(DEFAULT_BACKOFF, 1, 7000, 0)).to.equal(7000);
    expect(delayMs(DEFAULT_BACKOFF, 1, 10 ** 12, 0)).to.equal(DEFAULT_BACKOFF.maxRetryAfterMs);
  });

  it('reads Retry-After in seconds and as a date, and ignores anything else', () => {
    const nowMs = Date.parse('2026-01-01T00:00:00Z');
    expect(parseRetryAfter('120', nowMs)).to.equal(120_000);
    expect(parseRetryAfter('Thu, 01 Jan 2026 00:00:30 GMT', nowMs)).to.equal(30_000);
    expect(parseRetryAfter('Wed, 31 Dec 2025 00:00:00 GMT', nowMs)).to.equal(0);
    for (const header of [null, '', 'soon', '-5x'])
      expect(parseRetryAfter(header, nowMs)).to.equal(undefined);
  });
});
