import { expect } from 'chai';
import fc from 'fast-check';
import { RetrySchedule } from '../../lib/agents/retry-schedule.js';

describe('a schedule of retries', () => {
  it('lets everything be tried once, and what failed again later each time, within bounds', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { maxLength: 30 }), (randoms) => {
        let now = 0;
        let random = 0;
        const schedule = new RetrySchedule({
          firstMs: 100,
          maxMs: 1600,
          now: () => now,
          random: () => random,
        });
        expect(schedule.isDue('a')).to.equal(true);
        for (const [i, each] of randoms.entries()) {
          random = each;
          const waitMs = schedule.failed('a');
          const ceilingMs = Math.min(1600, 100 * 2 ** i);
          expect(waitMs).to.be.within(ceilingMs / 2, ceilingMs);
          now += waitMs - 1;
          expect(schedule.isDue('a')).to.equal(false);
          now += 1;
          expect(schedule.isDue('a')).to.equal(true);
        }
      }),
    );
  });

  it('begins anew after a success, and keeps keys apart', () => {
    const schedule = new RetrySchedule({ firstMs: 100, now: () => 0, random: () => 1 });
    schedule.failed('a');
    schedule.failed('a');
    expect(schedule.isDue('b')).to.equal(true);
    schedule.succeeded('a');
    expect(schedule.isDue('a')).to.equal(true);
    expect(schedule.failed('a')).to.equal(100);
  });

  it('never again means never, however long it runs', () => {
    let now = 0;
    const schedule = new RetrySchedule({ now: () => now });
    schedule.never('a');
    now = Number.MAX_SAFE_INTEGER;
    expect(schedule.isDue('a')).to.equal(false);
  });

  it('does not grow without bound', () => {
    const schedule = new RetrySchedule({ now: () => 0 });
    for (let i = 0; i <= 5000; i += 1) schedule.failed(`plan ${i}`);
    expect(schedule.isDue('plan 0')).to.equal(true);
    expect(schedule.isDue('plan 5000')).to.equal(false);
  });
});
