import { expect } from 'chai';
import { Shutdown } from '../../lib/agents/shutdown.js';

describe('stopping an agent', () => {
  it('lets what is under way finish at first, and gives it up after a while', async () => {
    const shutdown = new Shutdown(5);
    expect([shutdown.stopping.aborted, shutdown.aborting.aborted]).to.deep.equal([false, false]);
    shutdown.stop();
    expect([shutdown.stopping.aborted, shutdown.aborting.aborted]).to.deep.equal([true, false]);
    await new Promise<void>((resolve) => shutdown.aborting.addEventListener('abort', () => resolve()));
  });

  it('gives it up at once when asked twice', () => {
    const shutdown = new Shutdown(60_000);
    shutdown.stop();
    shutdown.stop();
    expect(shutdown.aborting.aborted).to.equal(true);
  });
});
