import { expect } from 'chai';
import fc from 'fast-check';
import {
  type Elapsed,
  gigabytesPerSecond,
  interleave,
  measureElapsed,
  millionsPerSecond,
  nanosecondsEach,
  pairedRatio,
  spread,
  type TimedCase,
} from '../../bench/measure.js';
import { ParameterError } from '../../lib/errors.js';

const samples = fc.array(fc.double({ min: 1e-3, max: 1e12, noNaN: true }), { minLength: 3, maxLength: 40 });

async function refusal(operation: () => unknown): Promise<string> {
  try {
    await operation();
  } catch (error) {
    expect(error).to.be.instanceOf(ParameterError);
    return (error as ParameterError).code;
  }
  throw new Error('nothing was refused');
}

/** Cases whose time is `wall[name][call]`, and which write down in `order` when they ran. */
function scripted(wall: Readonly<Record<string, readonly number[]>>, order: string[]): TimedCase[] {
  return Object.entries(wall).map(([name, times]) => {
    let call = 0;
    return {
      name,
      time: async (): Promise<Elapsed> => {
        order.push(name);
        const time = times[call] as number;
        call += 1;
        return { wall: time, processor: time / 2 };
      },
    };
  });
}

describe('benchmark statistics', () => {
  describe('a spread', () => {
    it('takes the middle sample of an odd number, whatever their order', () => {
      expect(spread([9, 1, 5, 100, 2])).to.deep.equal({ median: 5, min: 1, max: 100, samples: 5 });
    });

    it('takes the mean of the two middle samples of an even number', () => {
      expect(spread([4, 1, 3, 10])).to.deep.equal({ median: 3.5, min: 1, max: 10, samples: 4 });
    });

    it('is not moved by one sample that another process disturbed', () => {
      expect(spread([10, 11, 12, 11, 1e9]).median).to.equal(11);
    });

    it('orders numbers, not their digits', () => {
      expect(spread([100, 20, 3]).median).to.equal(20);
    });

    it('leaves the samples as they were', () => {
      const given = Object.freeze([3, 1, 2]);
      spread(given);
      expect(given).to.deep.equal([3, 1, 2]);
    });

    it('has as many samples below its median as above', () => {
      fc.assert(
        fc.property(samples, (values) => {
          const { median, min, max } = spread(values);
          const below = values.filter((value) => value < median).length;
          const above = values.filter((value) => value > median).length;
          expect(below).to.be.at.most(values.length / 2);
          expect(above).to.be.at.most(values.length / 2);
          expect(min).to.equal(Math.min(...values));
          expect(max).to.equal(Math.max(...values));
        }),
      );
    });

    it('does not depend on the order of the samples', () => {
      fc.assert(
        fc.property(samples, fc.infiniteStream(fc.nat()), (values, keys) => {
          const shuffled = values
            .map((value) => ({ value, key: keys.next().value as number }))
            .sort((a, b) => a.key - b.key)
            .map(({ value }) => value);
          expect(spread(shuffled)).to.deep.equal(spread(values));
        }),
      );
    });

    it('is refused for a single run, and for two', async () => {
      expect(await refusal(() => spread([1]))).to.equal('bench.too-few-samples');
      expect(await refusal(() => spread([1, 2]))).to.equal('bench.too-few-samples');
    });

    it('is refused where a sample is not a finite number', async () => {
      expect(await refusal(() => spread([1, Number.NaN, 2]))).to.equal('bench.not-a-number');
      expect(await refusal(() => spread([1, Number.POSITIVE_INFINITY, 2]))).to.equal('bench.not-a-number');
    });
  });

  describe('rates', () => {
    it('are millions of things a second', () => {
      // 740,000 things in 2 ms are 370 million a second.
      expect(millionsPerSecond(740_000, [2e6, 2e6, 4e6]).median).to.be.closeTo(370, 1e-9);
    });

    it('are gigabytes a second', () => {
      expect(gigabytesPerSecond(5e9, [1e9, 0.5e9, 2e9])).to.deep.include({ median: 5, min: 2.5, max: 10 });
    });

    it('are nanoseconds for each thing', () => {
      expect(nanosecondsEach(1000, [2800, 2000, 3000]).median).to.equal(2.8);
    });
  });

  describe('a paired ratio', () => {
    it('cancels what slows both sides of a round', () => {
      const steady = [10, 10, 10, 10, 10];
      const slowdown = [1, 7, 1, 3, 2];
      const ours = steady.map((ns, round) => ns * (slowdown[round] as number));
      const theirs = ours.map((ns) => ns * 200);
      expect(pairedRatio(theirs, ours)).to.deep.equal({ median: 200, min: 200, max: 200, samples: 5 });
    });

    it('is refused for samples of different rounds', async () => {
      expect(await refusal(() => pairedRatio([1, 2, 3], [1, 2, 3, 4]))).to.equal('bench.unpaired-samples');
    });
  });

  describe('interleaving', () => {
    it('runs every case once a round, and begins each round with another', async () => {
      const order: string[] = [];
      const times = [0, 0, 0, 0];
      await interleave(scripted({ a: times, b: times, c: times }, order), { rounds: 3, warmups: 1 });
      expect(order.join('')).to.equal('abcbcacababc');
    });

    it('throws the warm-up away and keeps the rounds in order', async () => {
      const wall = { a: [999, 999, 1, 2, 3], b: [888, 888, 4, 5, 6] };
      const timings = await interleave(scripted(wall, []), { rounds: 3, warmups: 2 });
      expect(timings('a')).to.deep.equal([1, 2, 3]);
      expect(timings('b')).to.deep.equal([4, 5, 6]);
    });

    it('reads the clock that it is asked to', async () => {
      const wall = { a: [0, 2, 4, 6] };
      const timings = await interleave(scripted(wall, []), { rounds: 3, clock: 'processor' });
      expect(timings('a')).to.deep.equal([1, 2, 3]);
    });

    it('is refused for fewer than three rounds, before anything runs', async () => {
      const order: string[] = [];
      const cases = scripted({ a: [1, 1, 1] }, order);
      expect(await refusal(() => interleave(cases, { rounds: 2 }))).to.equal('bench.too-few-samples');
      expect(await refusal(() => interleave(cases, { rounds: 3.5 }))).to.equal('bench.too-few-samples');
      expect(order).to.deep.equal([]);
    });

    it('ends with the error of a case that fails', async () => {
      const failing: TimedCase = { name: 'x', time: () => Promise.reject(new Error('the kernel failed')) };
      const outcome = await interleave([failing], { rounds: 3 }).catch((error: unknown) => error);
      expect(outcome).to.be.instanceOf(Error).with.property('message', 'the kernel failed');
    });
  });

  describe('an elapsed time', () => {
    it('counts what is computed by both', async () => {
      const until = process.hrtime.bigint() + 50_000_000n;
      const elapsed = await measureElapsed(() => {
        while (process.hrtime.bigint() < until);
      });
      expect(elapsed.wall).to.be.at.least(40e6);
      // Other processes may have had the core for part of it.
      expect(elapsed.processor).to.be.above(1e6);
    });
  });
});
