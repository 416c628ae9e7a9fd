import { join } from 'node:path';
import { expect } from 'chai';
import { planRound } from '../../lib/round/plan-round.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { adapterValues, writeAdapter } from './support/adapters.js';
import { TestRound } from './support/round.js';

describe('planning a round', () => {
  let round: TestRound;
  const request = {
    bits: 4,
    maxClients: 8,
    quorum: 3,
    round: 2,
    policy: 'pick',
    cohort: 'all',
    parameterSet: 'lwe-128',
  } as const;

  before(async () => {
    round = await TestRound.start(await temporaryDirectory());
  });

  it('bounds each tensor by one and a half times the largest value seen', async () => {
    const { body } = await planRound({ ...request, roster: round.roster, like: round.like });
    const values = await adapterValues(round.like);
    for (const { name, clip } of body.tensors) {
      expect(clip).to.equal(1.5 * Math.max(...(values.get(name) as Float32Array).map(Math.abs)));
    }
  });

  it('bounds differences where a base is given', async () => {
    const base = await writeAdapter(join(round.directory, 'base'), 'base');
    const { body } = await planRound({ ...request, roster: round.roster, like: round.like, base });
    const [values, start] = [await adapterValues(round.like), await adapterValues(base)];
    for (const { name, clip } of body.tensors) {
      const from = start.get(name) as Float32Array;
      const largest = Math.max(
        ...(values.get(name) as Float32Array).map((v, i) => Math.abs(v - (from[i] as number))),
      );
      expect(clip).to.be.closeTo(1.5 * largest, 1e-6);
    }
  });

  it('takes one bound for all tensors where it is given', async () => {
    const { body } = await planRound({ ...request, roster: round.roster, like: round.like, clip: 0.25 });
    expect(body.tensors.map(({ clip }) => clip)).to.deep.equal([0.25, 0.25, 0.25, 0.25]);
  });

  it('refuses to guess a bound from nothing', async () => {
    const { like, roster } = round;
    await expectRefusal('plan.no-clip', () => planRound({ ...request, roster, like, base: like }));
  });

  it('draws a fresh public seed each time', async () => {
    const seeds = new Set<string>();
    for (let i = 0; i < 3; i += 1) {
      const { body } = await planRound({ ...request, roster: round.roster, like: round.like });
      seeds.add(Buffer.from(body.seed).toString('hex'));
    }
    expect(seeds.size).to.equal(3);
  });

  it('refuses what the roster does not allow, as every client would', async () => {
    const { like, roster } = round;
    const planning = (changes: object) => () => planRound({ ...request, roster, like, ...changes });
    await expectRefusal('plan.outside-roster', planning({ quorum: 2 }));
    await expectRefusal('plan.outside-roster', planning({ parameterSet: 'lwe-192' }));
    await expectRefusal('plan.does-not-fit', planning({ bits: 8, maxClients: 60_000 }));
    const low = { ...roster, body: { ...roster.body, maxUpdateBytes: 1000 } };
    await expectRefusal('plan.too-large', planning({ roster: low }));
  });
});
