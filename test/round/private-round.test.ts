/** Rounds with differential privacy: the noise that is in the sum, and the budget that it is spent from. */
import { join } from 'node:path';
import { expect } from 'chai';
import { effectiveNoiseMultiplier, readTrustedPlan } from '../../lib/custody/trusted-plan.js';
import type { PlanPrivacy } from '../../lib/package/messages/plan.js';
import { openContainer } from '../../lib/package/reader.js';
import type { Policy } from '../../lib/policy/policy.js';
import { addPlannedNoise, releaseOf } from '../../lib/round/round-privacy.js';
import { dryRunSeal, sealUpdate } from '../../lib/round/seal-update.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { adapterValues, writeAdapter } from './support/adapters.js';
import { pathsBelow } from './support/directories.js';
import { craftUpdate } from './support/forgery.js';
import { atEveryWrite } from './support/power-cut.js';
import { signPlan, TestRound, type TestRoundOptions } from './support/round.js';

const MECHANISMS = ['skellam', 'discrete-gaussian'] as const;

function privately(
  privacy: Readonly<Record<string, unknown>> = {},
  more: TestRoundOptions = {},
): TestRoundOptions {
  return {
    ...more,
    policy: {
      privacy: {
        mechanism: 'skellam',
        clip: 1,
        noiseMultiplier: 1,
        epsilon: 100,
        delta: 1e-5,
        colluders: 1,
        ...privacy,
      },
      training: { bits: { min: 2, max: 8 }, rotation: true },
    },
  };
}

async function start(options: TestRoundOptions = privately()): Promise<TestRound> {
  return TestRound.start(await temporaryDirectory(), options);
}

function noiseOf(round: TestRound): PlanPrivacy {
  return round.plan.body.privacy as PlanPrivacy;
}

/** What an average of nothing but noise holds, in levels of the sum: a rotation keeps its energy. */
async function noiseVariance(round: TestRound, average: string, contributors: number): Promise<number> {
  const scale = round.plan.body.tensors[0]?.scale as number;
  let squares = 0;
  for (const values of (await adapterValues(average)).values()) {
    for (const value of values) squares += ((value * contributors) / scale) ** 2;
  }
  return squares / round.plan.arithmetic.valueCount;
}

/**
 * Whether a variance measured over all coordinates can be `expected`: within five standard errors, which a right one
 * misses once in a million. That of a mean of squares is sqrt((2 + excess kurtosis) / count); Skellam's excess kurtosis is
 * 1 / variance.
 */
function canBe(measured: number, expected: number, count: number): boolean {
  return Math.abs(measured / expected - 1) < 5 * Math.sqrt((2 + 1 / expected) / count);
}

/** Clients whose delta is zero: what is opened then is noise. */
async function sealNothing(round: TestRound, numbers: readonly number[]): Promise<string[]> {
  const updates: string[] = [];
  for (const number of numbers) {
    updates.push((await round.seal(number, { adapter: round.like, base: round.like })).stored);
  }
  return updates;
}

async function sealNoise(round: TestRound, number: number, clientVariance: number): Promise<string> {
  const { body, fingerprint } = round.plan;
  const values = new Int32Array(round.plan.arithmetic.valueCount);
  const client = round.client(number);
  if (clientVariance > 0) {
    const privacy = { ...noiseOf(round), clientVariance };
    await client.prf.use((key) => addPlannedNoise({ ...body, privacy }, fingerprint, key, values));
  }
  return round.file('.tgu', await craftUpdate(round.plan, client, { values }));
}

for (const mechanism of MECHANISMS) {
  describe(`the noise of a round with ${mechanism}`, function () {
    this.timeout(60_000);

    it('has in the sum the variance of all contributors together, and half of it would be noticed', async () => {
      const round = await start(privately({ mechanism }, { clients: 4 }));
      const { clientVariance } = noiseOf(round);
      const count = round.plan.arithmetic.valueCount;
      const { out, epsilon } = await round.finish(await sealNothing(round, [1, 2, 3, 4]));
      expect(epsilon).to.be.greaterThan(0);
      const measured = await noiseVariance(round, out, 4);
      expect(canBe(measured, 4 * clientVariance, count), `${measured} of ${4 * clientVariance}`).to.equal(
        true,
      );

      const planted = await start(privately({ mechanism }, { clients: 4 }));
      const half = Math.floor(noiseOf(planted).clientVariance / 2);
      const updates: string[] = [];
      for (const number of [1, 2, 3, 4]) updates.push(await sealNoise(planted, number, half));
      const halved = await noiseVariance(planted, (await planted.finish(updates)).out, 4);
      expect(canBe(halved, 4 * half, count)).to.equal(true);
      expect(canBe(halved, 4 * noiseOf(planted).clientVariance, count)).to.equal(false);
      round.end();
      planted.end();
    });

    it('keeps what was promised when all but a quorum drop out, and the colluders add none', async () => {
      const round = await start(privately({ mechanism }, { clients: 5 }));
      const { clientVariance, l2Squared, colluders } = noiseOf(round);
      const { quorum } = round.plan.body;
      expect({ quorum, colluders }).to.deep.equal({ quorum: 3, colluders: 1 });
      const silent = await sealNoise(round, 3, 0);
      const { out } = await round.finish([...(await sealNothing(round, [1, 2])), silent]);
      const measured = await noiseVariance(round, out, 3);
      const certain = (quorum - colluders) * clientVariance;
      expect(canBe(measured, certain, round.plan.arithmetic.valueCount)).to.equal(true);
      expect(Math.sqrt(certain / l2Squared)).to.be.at.least(1);
      expect(effectiveNoiseMultiplier(noiseOf(round), quorum)).to.be.within(1, 1.001);
      round.end();
    });
  });
}

describe('what a private client sends before its noise', () => {
  it('stays within the sensitivity that the noise was sized for, whatever was trained', async () => {
    const round = await start();
    const { clip, tensors } = round.plan.body;
    const { l2Squared } = noiseOf(round);
    const scale = tensors[0]?.scale as number;
    expect(l2Squared).to.be.at.least((clip / scale) ** 2);
    const loud = await writeAdapter(round.path('-loud'), 'loud', { standardDeviation: 10 });
    const { report } = await round.seal(1, { adapter: loud });
    expect(report?.clipFactor).to.be.closeTo(clip / (report?.keptNorm as number), 1e-6);
    expect(report?.keptNorm).to.be.greaterThan(100);
  });

  it('is told by the clear header as little as by the sum: no count of what saturated', async () => {
    const round = await start();
    const { stored } = await round.seal(1);
    const update = await openContainer(stored, 'update');
    await update.close();
    expect(update.body.safety?.saturatedValues).to.equal(undefined);
    expect(update.body.privacy).to.deep.include({ clip: 1, mechanism: 'skellam' });
    expect(update.body.privacy?.epsilonSpent).to.be.greaterThan(0);
  });
});

describe('the privacy budget of a client', function () {
  this.timeout(120_000);

  const spent = (round: TestRound, number = 1) =>
    round.asClient(number, async ({ privacy }) => privacy?.ledger.entries() ?? []);

  it('is spent once for an update that is sealed again', async () => {
    const round = await start();
    const { report } = await round.seal(1);
    expect((await round.seal(1)).replayed).to.equal(true);
    expect(await spent(round)).to.have.length(1);
    const next = await round.next();
    const other = await writeAdapter(round.path('-other'), 'other');
    const second = await next.seal(1, { adapter: other });
    expect(await spent(round)).to.have.length(2);
    expect(second.report?.epsilonSpent).to.be.greaterThan(report?.epsilonSpent as number);
  });

  it('is spent once where the power fails between spending and sealing', async () => {
    const template = await start();
    await template.asClient(1, async () => undefined);
    await template.adapter(1);
    let unsealed = 0;
    const writes = await atEveryWrite(async (cut, at) => {
      const round = await template.copyTo(join(await temporaryDirectory(), 'round'));
      await cut(() => round.seal(1));
      const before = await spent(round);
      const sealed = await pathsBelow(join(round.directory, 'client-1', 'sealed'));
      const isSealed = sealed.some((path) => path.endsWith('.tgu') && !path.startsWith('.'));
      // Never sealed without having been spent.
      if (isSealed) expect(before, `cut at write ${at}`).to.have.length(1);
      if (before.length === 1 && !isSealed) unsealed += 1;
      await round.seal(1);
      expect(await spent(round), `cut at write ${at}`).to.have.length(1);
    });
    expect(writes).to.be.greaterThan(20);
    expect(unsealed, 'cuts between spending and sealing').to.be.greaterThan(0);
  });

  it('refuses what exceeds it before the adapter is looked at, and nothing is claimed or spent', async () => {
    const round = await start();
    const poor = { ...round.policy, privacy: { ...round.policy.privacy, epsilon: 100 } };
    const other = await writeAdapter(round.path('-other'), 'other');
    await round.seal(1, { adapter: other, as: { policy: poor } });
    const next = await round.next();
    const [first] = await spent(round);
    const cost = await round.asClient(1, async ({ privacy }) => {
      const status = privacy?.ledger.status({ budget: { ...privacy.budget } });
      return status?.epsilonSpent as number;
    });
    // Enough for the round that was, and for nothing beside it.
    const empty = { ...round.policy, privacy: { ...round.policy.privacy, epsilon: cost * 1.01 } };
    const nowhere = join(round.directory, 'no such adapter');
    const refused = () => next.seal(1, { adapter: nowhere, as: { policy: empty } });
    const error = await expectRefusal('privacy.budget-exhausted', refused);
    expect(error.message).to.include('0 more such rounds fit');
    await next.asClient(
      1,
      (client) =>
        expectRefusal('privacy.budget-exhausted', () =>
          dryRunSeal({ client, plan: next.plan, adapter: nowhere }),
        ),
      { policy: empty },
    );
    expect(await spent(round)).to.deep.equal([first]);
    // Nothing was claimed: two adapters could not be claimed for one plan.
    expect((await next.seal(1)).replayed).to.equal(false);
  });

  it('of nothing allows nothing, hard stop or not', async () => {
    const round = await start();
    for (const hardStop of [true, false]) {
      await round.asClient(1, async (client) => {
        const { ledger, budget } = client.privacy as NonNullable<typeof client.privacy>;
        const privacy = { ledger, budget: { ...budget, epsilon: 0, hardStop } };
        await expectRefusal('privacy.budget-exhausted', () =>
          sealUpdate({ client: { ...client, privacy }, plan: round.plan, adapter: round.like }),
        );
      });
    }
    expect(await spent(round)).to.deep.equal([]);
  });

  it('without a hard stop is exceeded, and the report says so', async () => {
    const round = await start(privately({ epsilon: 0.01, hardStop: false }));
    const { report } = await round.seal(1);
    expect(report).to.include({ overBudget: true });
    expect(await spent(round)).to.have.length(1);
  });

  it('takes no negative release that would pay some of it back', async () => {
    const round = await start();
    await round.seal(1);
    const before = await spent(round);
    await round.asClient(1, async ({ privacy }) => {
      const { ledger, budget } = privacy as NonNullable<typeof privacy>;
      const release = releaseOf(noiseOf(round), round.plan.arithmetic.valueCount, 3);
      const request = {
        plan: new Uint8Array(32),
        fleet: 'acme',
        policy: 'pick',
        round: 2,
        client: 'client-1',
        budget,
      };
      for (const field of ['clientVariance', 'l2Squared', 'honest', 'dimension'] as const) {
        await expectRefusal('privacy.bad-release', () =>
          ledger.spend({ ...request, samplerDelta: 0, release: { ...release, [field]: -release[field] } }),
        );
      }
      await expectRefusal('privacy.bad-sampler-delta', () =>
        ledger.spend({ ...request, release, samplerDelta: -1e-3 }),
      );
    });
    expect(await spent(round)).to.deep.equal(before);
  });

  it('has to have a ledger', async () => {
    const round = await start();
    await round.asClient(1, (client) =>
      expectRefusal('privacy.no-ledger', () =>
        sealUpdate({ client: { ...client, privacy: undefined }, plan: round.plan, adapter: round.like }),
      ),
    );
  });
});

describe('a plan with too little noise', () => {
  it('is refused by everyone under a roster with a higher floor, noise or none', async () => {
    await expectRefusal('plan.noise-below-floor', () => start(privately({}, { rules: { noiseFloor: 1.5 } })));
    await expectRefusal('plan.noise-below-floor', () => start({ rules: { noiseFloor: 1.5 } }));
    const round = await start(privately({}, { rules: { noiseFloor: 1 } }));
    const { privacy: _, ...quiet } = round.plan.body;
    const plan = await signPlan(round.members, quiet);
    await expectRefusal('plan.noise-below-floor', () => readTrustedPlan(plan, round.roster));
  });
});

describe('a plan weaker than a policy', () => {
  let round: TestRound;
  let quiet: TestRound;
  let aggregate: string;
  let quietAggregate: string;

  before(async () => {
    round = await start();
    aggregate = await round.aggregate(await round.sealAll());
    quiet = await start({});
    quietAggregate = await quiet.aggregate(await quiet.sealAll());
  });

  after(() => {
    round.end();
    quiet.end();
  });

  type Change = (policy: Policy) => Policy;
  const privacy =
    (fields: Partial<Policy['privacy']>): Change =>
    (policy) => ({ ...policy, privacy: { ...policy.privacy, ...fields } });
  const encryption =
    (fields: Partial<Policy['encryption']>): Change =>
    (policy) => ({ ...policy, encryption: { ...policy.encryption, ...fields } });
  const envelope =
    (fields: Partial<Policy['envelope']>): Change =>
    (policy) => ({ ...policy, envelope: { ...policy.envelope, ...fields } });

  const cases: readonly [what: string, code: string, change: Change, quiet?: true][] = [
    ['no noise at all', 'no-noise', privacy({ mechanism: 'skellam', clip: 1 }), true],
    ['less noise', 'noise-multiplier', privacy({ noiseMultiplier: 1.1 })],
    ['epsilon at a larger delta', 'delta', privacy({ delta: 1e-6 })],
    ['fewer colluders reckoned with', 'colluders', privacy({ colluders: 2 })],
    ['another clip', 'clip', privacy({ clip: 0.9 })],
    ['a round dearer than the whole budget', 'round-epsilon', privacy({ epsilon: 0.1 })],
    ['a lower security level', 'security-level', encryption({ securityLevel: 192 })],
    ['a smaller quorum', 'quorum', encryption({ quorum: 4 })],
    ['fewer custodians that must agree', 'threshold', encryption({ custodianThreshold: 3 })],
    ['custodians of whom one may lie', 'custodians', encryption({ custodians: 2 })],
    [
      'fewer signatures',
      'signature-algorithms',
      encryption({ signatureAlgorithms: ['ed25519', 'ml-dsa-65'] }),
    ],
    ['larger updates', 'update-bytes', envelope({ maxUpdateBytes: 10_000 })],
    ['more parameters', 'trainable-parameters', envelope({ maxTrainableParameters: 2303 })],
    ['other modules', 'module', envelope({ allowedModules: ['**.q_proj'] })],
    [
      'factors that are to stay frozen',
      'lora-mode',
      (policy) => ({ ...policy, training: { ...policy.training, loraMode: 'frozen-a' } }),
    ],
  ];

  for (const [what, code, change, isQuiet] of cases) {
    it(`is refused by client, aggregator and owner: ${what}`, async () => {
      const judged = isQuiet === true ? quiet : round;
      const policy = change(judged.policy);
      const refusal = `policy.${code}`;
      const nowhere = join(judged.directory, 'no such adapter');
      await expectRefusal(refusal, () => judged.seal(1, { adapter: nowhere, as: { policy } }));
      const out = judged.path('.tga');
      await expectRefusal(refusal, () => judged.aggregateLeniently([], { policy, out }));
      const average = judged.path('-average');
      const opening = isQuiet === true ? quietAggregate : aggregate;
      await expectRefusal(refusal, () => judged.open(opening, [], { policy, out: average }));
      for (const path of [out, average]) expect(await pathsBelow(path)).to.deep.equal([]);
    });
  }

  it('is refused nowhere for an error that only its coordinator can predict', async () => {
    const policy = { ...quiet.policy, training: { ...quiet.policy.training, maxRelativeError: 0.001 } };
    const { accepted, out } = await quiet.aggregateLeniently(await quiet.sealAll(), { policy });
    expect(accepted).to.equal(3);
    expect((await quiet.seal(1, { as: { policy } })).replayed).to.equal(true);
    await expectRefusal('open.too-few-answers', () => quiet.open(out, [], { policy }));
  });

  it('leaves out an update that declares a training run gone wrong', async () => {
    const other = await start({ clients: 4 });
    const updates = await other.sealAll();
    const mild = {
      ...other.policy,
      training: { ...other.policy.training, gradientNorm: { min: 0, max: 1e6 } },
    };
    const bad = { training: { safety: { gradientNormMax: 5000 } } };
    await expectRefusal('policy.gradient-norm', () => other.seal(4, bad));
    updates.push((await other.seal(4, { ...bad, as: { policy: mild } })).stored);
    const { accepted, refused } = await other.aggregateLeniently(updates);
    expect(accepted).to.equal(3);
    expect(refused.map(({ client, code }) => [client, code])).to.deep.equal([
      ['client-4', 'policy.gradient-norm'],
    ]);
  });
});
