import { expect } from 'chai';
import { type RoundAtAGlance, troubleOf } from '../../lib/observability/round-trouble.js';

const MINUTE_MS = 60_000;

describe('a round that is stuck', () => {
  const round = (changes: Partial<RoundAtAGlance>): RoundAtAGlance => ({
    ...{ phase: 'open', deadlineMs: 100 * MINUTE_MS, answered: 0, threshold: 3, received: 0, quorum: 3 },
    enteredAtMs: { open: 0 },
    closed: false,
    ...changes,
  });
  const at = (minutes: number, changes: Partial<RoundAtAGlance>): string | undefined =>
    troubleOf(round(changes), minutes * MINUTE_MS);

  it('is none as long as it waits for what it should wait for', () => {
    expect(at(99, {})).to.equal(undefined);
    expect(at(101, {})).to.equal(undefined);
    expect(at(109, { phase: 'summing', enteredAtMs: { summing: 100 * MINUTE_MS } })).to.equal(undefined);
    expect(
      at(129, { phase: 'awaiting-answers', enteredAtMs: { 'awaiting-answers': 100 * MINUTE_MS } }),
    ).to.equal(undefined);
    expect(at(9999, { phase: 'released', closed: true })).to.equal(undefined);
    expect(at(9999, { phase: 'failed', closed: true, enteredAtMs: { failed: 0 } })).to.equal(undefined);
  });

  it('says what it waits for, and what to do', () => {
    expect(at(103, {})).to.include('deadline');
    expect(at(111, { phase: 'summing', enteredAtMs: { summing: 100 * MINUTE_MS } })).to.include('logs');
    const asked = {
      phase: 'awaiting-answers',
      enteredAtMs: { 'awaiting-answers': 100 * MINUTE_MS },
    } as const;
    expect(at(131, { ...asked, answered: 2 }))
      .to.include('2 of 3')
      .and.to.include('custodian run');
    expect(at(131, { ...asked, answered: 3 })).to.include('owner run');
    expect(at(131, { phase: 'failed', enteredAtMs: { failed: 100 * MINUTE_MS } })).to.include('close record');
  });
});
