import { expect } from 'chai';
import { judgedEvent, judgeRound } from '../../../lib/round/outliers/judge-round.js';
import type { OutlierTest } from '../../../lib/round/outliers/outlier-test.js';
import { TestRound } from '../machine/support/test-round.js';

/** A test that has to ask elsewhere, as one on verified sketches does. */
function flagging(name: string, clients: readonly string[]): OutlierTest {
  return {
    name,
    reason: `${name} says so`,
    judge: async (candidates) => {
      await new Promise((resolve) => setImmediate(resolve));
      return candidates.map(({ client, fingerprint }) => ({
        ...{ client, fingerprint },
        flagged: clients.includes(client),
        ...(clients.includes(client) && { value: 9, limit: 3 }),
      }));
    },
  };
}

describe('judging a round', () => {
  it('asks every test, and says once of an update what the first test that flags it says', async () => {
    const round = TestRound.sealedOff();
    const flagged = await judgeRound(round.state, [
      flagging('first', ['client-2']),
      flagging('second', ['client-2', 'client-4']),
    ]);
    expect(flagged.map(({ client, test, reason, value }) => [client, test, reason, value])).to.deep.equal([
      ['client-2', 'first', 'first says so', 9],
      ['client-4', 'second', 'second says so', 9],
    ]);
    const event = judgedEvent(flagged, 'refuse', round.nowMs);
    // Values are its client's: they go no further than the server's log.
    expect(JSON.stringify(event)).to.not.include('limit').and.not.include('value');
    expect(round.send(event).outcome).to.equal('applied');
  });

  it('flags nothing without a test, which is a judgement as well', async () => {
    const round = TestRound.sealedOff();
    expect(await judgeRound(round.state, [])).to.deep.equal([]);
    round.send(judgedEvent([], 'flag', round.nowMs));
    expect(round.state.outliers).to.deep.equal({ action: 'flag' });
  });
});
