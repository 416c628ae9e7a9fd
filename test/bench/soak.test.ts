/** The soak in small: what it shows of a thousand robots must hold of forty, each time that the tests run. */
import { expect } from 'chai';
import { hasNatsServer } from '../../bench/soak/nats-process.js';
import { DEFAULT_SOAK, type SoakOptions } from '../../bench/soak/options.js';
import { runSoak, type SoakResult } from '../../bench/soak/run.js';

const SMALL: SoakOptions = {
  ...DEFAULT_SOAK,
  robots: 40,
  values: 640,
  killsReceiving: 1,
  sumLeaseMs: 1_500,
  progress: () => undefined,
};

function expectKept({ rounds, violations, options }: SoakResult): void {
  expect(violations).to.deep.equal([]);
  expect(rounds).to.have.length(options.rounds);
  for (const round of rounds) {
    // 20 % drop out, 5 % are corrupt and 5 % late.
    expect(round.acknowledged + round.overtakenByDeadline).to.equal(28);
    expect(round.accepted + round.refusedInSum).to.equal(round.acknowledged);
    expect(round).to.include({ corruptRefused: 2, lateRefused: 2 });
    expect(round.average).to.deep.equal({ values: 640, wrong: 0 });
  }
}

describe('a small soak', function () {
  this.timeout(120_000);

  it('loses nothing that was acknowledged when the only server is killed again and again', async () => {
    const result = await runSoak({ ...SMALL, rounds: 2 });
    expectKept(result);
    expect(result.kills.filter(({ when }) => when === 'receiving')).to.have.length(2);
    expect(result.kills.filter(({ when }) => when === 'closed')).to.have.length(2);
  });

  // Not nats-server: 2.9.10 itself loses what it acknowledged when it is killed (docs/soak.md).
  it('loses nothing when servers that share JetStream are killed', async function () {
    if (!hasNatsServer()) {
      const advice = 'nats-server is not on the PATH (Debian: apt-get install nats-server)';
      if (process.env['CI'] === 'true') throw new Error(`${advice}, and CI runs this test`);
      console.warn(`      skipped: ${advice}`);
      this.skip();
    }
    const result = await runSoak({ ...SMALL, rounds: 1, store: 'jetstream', servers: 3 });
    expectKept(result);
    expect(result.kills.map(({ what }) => what)).to.include.members(['server']);
  });
});
