import { expect } from 'chai';
import { AgentLoop, type AgentLoopOptions } from '../../lib/agents/agent-loop.js';
import { EnvironmentError, RefusedError } from '../../lib/errors.js';
import { CollectedLog } from './support/collected-log.js';

const POLL_MS = 1000;

/** A loop whose steps are the given ones, one after the other, and which is stopped after the last. */
function loopOf(steps: readonly (() => Promise<void>)[], options: Partial<AgentLoopOptions> = {}) {
  const stopping = new AbortController();
  const log = new CollectedLog();
  const slept: number[] = [];
  let next = 0;
  const loop: AgentLoop = new AgentLoop({
    step: async () => {
      const step = steps[next] as () => Promise<void>;
      next += 1;
      if (next === steps.length) stopping.abort();
      await step();
    },
    log,
    stopping: stopping.signal,
    pollMs: POLL_MS,
    maxDelayMs: 8 * POLL_MS,
    random: () => 1,
    sleep: async (ms, signal) => {
      slept.push(ms);
      // Never as long as it says: only until somebody wakes it, if it is woken.
      if (signal.aborted) return;
    },
    ...options,
  });
  return { loop, log, slept, stopping, done: () => next };
}

const succeed = async (): Promise<void> => undefined;
const unreachable = async (): Promise<never> => {
  throw new EnvironmentError('http.unreachable', 'no network');
};

describe("an agent's loop", () => {
  it('looks at once, and again after each poll, until it is stopped', async () => {
    const { loop, slept, done } = loopOf([succeed, succeed, succeed]);
    await loop.run();
    expect(done()).to.equal(3);
    expect(slept).to.deep.equal([POLL_MS, POLL_MS]);
  });

  it('goes on through any number of failures, waiting longer each time, up to a limit', async () => {
    const { loop, log, slept } = loopOf([...Array<typeof unreachable>(6).fill(unreachable), succeed]);
    await loop.run();
    expect(slept.map((ms) => ms / POLL_MS)).to.deep.equal([2, 4, 8, 8, 8, 8]);
    expect(log.named('agent.step-failed')).to.have.length(6);
    expect(log.named('agent.step-failed')[0]).to.deep.include({ level: 'warn' });
  });

  it('is back at its pace after one success', async () => {
    const { loop, slept } = loopOf([unreachable, unreachable, succeed, succeed]);
    await loop.run();
    expect(slept.map((ms) => ms / POLL_MS)).to.deep.equal([2, 4, 1]);
  });

  it('survives what is no error of ours, and says so as an error', async () => {
    const { loop, log, done } = loopOf([
      async () => {
        throw new TypeError('a mistake');
      },
      async () => {
        throw new RefusedError('auth.unknown-key', 'not enrolled');
      },
      succeed,
    ]);
    await loop.run();
    expect(done()).to.equal(3);
    expect(log.named('agent.step-failed').map(({ level, fields }) => [level, fields['code']])).to.deep.equal([
      ['error', 'internal.unexpected'],
      ['error', 'auth.unknown-key'],
    ]);
  });

  it('finishes the step in progress when it is stopped, and begins no other', async () => {
    const stopping = new AbortController();
    const finished: string[] = [];
    const loop = new AgentLoop({
      step: async () => {
        stopping.abort();
        await new Promise((resolve) => setImmediate(resolve));
        finished.push('step');
      },
      log: new CollectedLog(),
      stopping: stopping.signal,
    });
    await loop.run();
    expect(finished).to.deep.equal(['step']);
  });

  it('is woken from its wait, after a moment that differs from robot to robot', async () => {
    const slept: number[] = [];
    const { loop } = loopOf([succeed, succeed], {
      wakeSpreadMs: 300,
      random: () => 0.5,
      sleep: async (ms, signal) => {
        slept.push(ms);
        if (ms === 0.75 * POLL_MS) {
          const woken = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
          loop.wake();
          await woken;
        }
      },
    });
    await loop.run();
    expect(slept).to.deep.equal([0.75 * POLL_MS, 150]);
  });

  it('looks again at once where something happened during the step', async () => {
    const slept: number[] = [];
    const { loop } = loopOf([async () => loop.wake(), succeed], {
      wakeSpreadMs: 300,
      random: () => 0.5,
      sleep: async (ms) => {
        slept.push(ms);
      },
    });
    await loop.run();
    expect(slept).to.deep.equal([150]);
  });
});
