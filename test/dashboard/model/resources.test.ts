import { expect } from 'chai';
import { Resources } from '../../../lib/dashboard/model/resources.js';
import { RequestFailure } from '../../../lib/dashboard/model/server-api.js';

const soon = (ms = 20): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('what was read of the server', () => {
  function resourcesOf(answer: (path: string, time: number) => unknown, minGapMs = 0) {
    const loads: string[] = [];
    const resources = new Resources({
      minGapMs,
      load: async (path) => {
        loads.push(path);
        return answer(path, loads.length);
      },
    });
    return { resources, loads };
  }

  it('is read once for all who look at it, and again when it has changed', async () => {
    const { resources, loads } = resourcesOf((_, time) => time);
    const seen: unknown[] = [];
    const forget = resources.watch('/a', () => seen.push(resources.peek('/a').value));
    resources.watch('/a', () => undefined);
    await soon();
    expect(loads).to.deep.equal(['/a']);
    resources.invalidate((path) => path === '/b');
    await soon();
    expect(loads).to.deep.equal(['/a']);
    resources.invalidate((path) => path === '/a');
    await soon();
    expect(loads).to.deep.equal(['/a', '/a']);
    expect(seen.at(-1)).to.equal(2);
    forget();
  });

  it('is not read while nobody looks, and read when somebody does', async () => {
    const { resources, loads } = resourcesOf((_, time) => time);
    resources.watch('/a', () => undefined)();
    await soon();
    const before = loads.length;
    resources.invalidate(() => true);
    await soon();
    expect(loads).to.have.length(before);
    resources.watch('/a', () => undefined);
    await soon();
    expect(resources.peek('/a').value).to.equal(before + 1);
  });

  it('is read seldom, however many events come', async () => {
    const { resources, loads } = resourcesOf((_, time) => time, 60);
    resources.watch('/a', () => undefined);
    for (let i = 0; i < 40; i += 1) {
      await soon(5);
      resources.invalidate(() => true);
    }
    // Some 200 ms and more have passed: one reading each 60 ms, and one at once.
    expect(loads.length).to.be.within(2, 8);
    await soon(100);
    expect(resources.peek('/a').value).to.equal(loads.length);
  });

  it('stays as it was while the server is away', async () => {
    const { resources } = resourcesOf((_, time) => {
      if (time === 2) throw new RequestFailure('unreachable', 'http.unreachable', 'away');
      return time;
    });
    resources.watch('/a', () => undefined);
    await soon();
    resources.invalidate(() => true);
    await soon();
    expect(resources.peek('/a')).to.deep.include({ value: 1, isLoading: false });
    expect(resources.peek('/a').failure?.code).to.equal('http.unreachable');
    resources.invalidate(() => true);
    await soon();
    expect(resources.peek('/a')).to.deep.equal({ value: 3, failure: undefined, isLoading: false });
  });

  it('is gone when somebody signs out, also what was still on its way', async () => {
    let answer: (value: unknown) => void = () => undefined;
    const { resources } = resourcesOf((path) =>
      path === '/slow'
        ? new Promise((resolve) => {
            answer = resolve;
          })
        : 'theirs',
    );
    resources.watch('/a', () => undefined);
    const forget = resources.watch('/slow', () => undefined);
    await soon();
    forget();
    resources.clear();
    answer('theirs too');
    await soon();
    expect(resources.peek('/slow').value).to.equal(undefined);
    expect(resources.peek('/a').value).to.equal(undefined);
  });
});
