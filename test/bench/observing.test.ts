import { rm } from 'node:fs/promises';
import { expect } from 'chai';
import { measureObserving } from '../../bench/observing/measure.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

describe('the measurement of what observing costs', function () {
  this.timeout(120_000);

  it('has rounds at both servers, and an observed one that was observed', async () => {
    const directory = await temporaryDirectory();
    const options = { directory, robots: 6, values: 640, rounds: 3, progress: () => undefined };
    const figures = await measureObserving(options);
    await rm(directory, { recursive: true, force: true });
    expect(figures.wallRatio).to.include({ samples: 3 });
    expect(figures.wallRatio.min).to.be.greaterThan(0);
    expect(figures.scrapes).to.be.greaterThan(0);
    // Receiving and summing, in each of four rounds.
    expect(figures.spans).to.be.at.least(8);
    expect(figures.records).to.be.at.least(4);
  });
});
