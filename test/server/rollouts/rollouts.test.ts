import { expect } from 'chai';
import { z } from 'zod';
import type { RolloutStatus } from '../../../lib/server/rollouts/rollout-status.js';
import { workSchema } from '../../../lib/server/routes/work.js';
import { ServedTestFleet } from '../support/served-fleet.js';
import { BAD, GOOD, type TestRelease, TestReleases } from '../support/test-releases.js';

const ROBOTS = 10;
const OFF_LINE = 10;

const codeOf = (error: { readonly code: string }): string => error.code;

describe('rollouts through the service', function () {
  this.timeout(120_000);

  let fleet: ServedTestFleet;
  let releases: TestReleases;
  let first: TestRelease;
  let second: TestRelease;
  beforeEach(async () => {
    fleet = await ServedTestFleet.create(ROBOTS);
    await fleet.start();
    releases = new TestReleases(fleet);
    first = await releases.released('first');
  });
  afterEach(() => fleet.stop());

  const all = <T>(value: T): T[] => Array.from({ length: ROBOTS }, () => value);

  async function offeredRobots(counter: number): Promise<number[]> {
    const offered = await releases.offeredToAll();
    return offered.flatMap((each, i) => (each === counter ? [i + 1] : []));
  }

  /** Everybody who is offered the release runs it, and reports how that goes. */
  async function reportFrom(robots: readonly number[], release: TestRelease, episodes = GOOD): Promise<void> {
    for (const number of robots) await releases.report(number, release.reference, episodes);
  }

  it('give a policy’s first release to everybody, and a newer one to nobody that no rollout offered it', async () => {
    expect(await releases.offeredToAll()).to.deep.equal(all(1));
    second = await releases.released('second');
    expect(await releases.offeredToAll()).to.deep.equal(all(1));
    const asked = await releases.offered(1, '/v1/releases/2').catch(codeOf);
    expect(asked).to.equal('release.not-offered');
    expect(await releases.offered(1, '/v1/releases/1')).to.equal(1);
  });

  it('offer nothing without a passed verdict on exactly that adapter', async () => {
    second = await releases.released('second');
    const third = await releases.make(await releases.adapter('third'));
    await releases.evaluated(third, first, 'passed');
    expect(await releases.start(2)).to.include({ phase: 'pending' });
    expect(await releases.offeredToAll()).to.deep.equal(all(1));
    expect(await releases.command(2, 'promote', { fromStep: 0 }).catch(codeOf)).to.equal(
      'rollout.no-passed-verdict',
    );
    await releases.evaluated(second, first, 'inconclusive');
    expect(await releases.status(2)).to.include({ phase: 'pending' });
    const again = await releases.verdict(second.adapter, first.adapter, 'failed', true);
    await releases.putVerdict(again);
    expect(await releases.status(2)).to.deep.include({
      phase: 'failed',
      verdict: { outcome: 'failed', verdict: again.fingerprint },
    });
    expect(await releases.offeredToAll()).to.deep.equal(all(1));
  });

  it('go from the canary through the steps to everybody, each after its telemetry', async () => {
    second = await releases.released('second');
    // Long enough for a step to be seen, on a machine with other things to do.
    await releases.start(2, { minimumDurationSeconds: 3 });
    await releases.evaluated(second, first);
    const [canary] = await offeredRobots(2);
    expect(await offeredRobots(2)).to.have.length(1);
    expect(await releases.status(2)).to.deep.include({ phase: 'canary', step: { index: 0, percent: 10 } });
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect((await releases.status(2)).phase, 'nothing was reported yet').to.equal('canary');

    const seen = new Map<string, number>();
    const note = ({ phase, step, clients }: RolloutStatus): void => {
      if (phase === 'canary' || phase === 'progressing')
        seen.set(`${phase} ${step?.percent}`, clients.offered);
    };
    const full = await releases.until(
      2,
      (status) => {
        note(status);
        return status.phase === 'full';
      },
      async () => reportFrom(await offeredRobots(2), second),
    );
    expect([...seen]).to.deep.equal([
      ['canary 10', 1],
      ['progressing 50', 5],
      ['progressing 100', 10],
    ]);
    expect(full.alerts).to.deep.equal([]);
    expect(full.clients).to.deep.equal({ enrolled: 10, offered: 10, asExpected: 10 });
    expect(full.drift.find(({ client }) => client === fleet.clientId(canary ?? 0))).to.deep.include({
      expected: second.reference,
      reported: second.reference,
      status: 'as-expected',
    });
    expect(await releases.offeredToAll()).to.deep.equal(all(2));
    // A third release waits again, whatever its verdict.
    const third = await releases.released('third');
    await releases.evaluated(third, second);
    expect(await releases.offeredToAll()).to.deep.equal(all(2));
  });

  it('give nobody an older release that was never offered, whatever newer one is', async () => {
    second = await releases.released('second');
    await releases.evaluated(second, first, 'failed');
    await releases.start(2);
    await releases.until(2, ({ phase }) => phase === 'failed');
    // Nobody ever started the rollout of this one.
    await releases.released('third');
    const fourth = await releases.released('fourth');
    await releases.evaluated(fourth, first);
    await releases.start(4);
    const [canary = 0] = await offeredRobots(4);
    expect(canary).to.be.greaterThan(0);
    for (const counter of [2, 3]) {
      const asked = await releases.offered(canary, `/v1/releases/${counter}`).catch(codeOf);
      expect(asked, `release ${counter}`).to.equal('release.not-offered');
    }
    expect(await releases.offered(canary, '/v1/releases/1')).to.equal(1);
  });

  it('go back by themselves after a breach in the canary, and reach every robot that may have the release', async () => {
    second = await releases.released('second');
    await releases.evaluated(second, first);
    await releases.start(2);
    const canary = await offeredRobots(2);
    await reportFrom(canary, second, BAD);
    const broken = await releases.until(2, ({ phase }) => phase === 'rolling-back');
    expect(broken).to.include({ cause: 'breach' });
    expect(broken.alerts.map(({ code }) => code)).to.deep.equal(['analysis-failed', 'rolling-back']);
    expect(broken.alerts[0]?.message).to.contain('success-rate must be at least');
    expect(await releases.offeredToAll()).to.deep.equal(all(1));
    for (const number of canary) {
      expect(await releases.offered(number, '/v1/releases/2').catch(codeOf)).to.equal('release.not-offered');
    }

    const { items } = await (await fleet.api('owner')).getJson('/v1/work', workSchema);
    expect(items[0]).to.deep.equal({
      ...{ kind: 'rollback', policy: 'balanced', bad: 2, to: 1 },
      adapterFingerprint: first.reference.adapterFingerprint,
      withdrawn: [second.reference.adapterFingerprint],
    });
    const back = await releases.publish(await releases.make(first.adapter, { rollbackTo: 1 }));
    expect(await releases.offeredToAll()).to.deep.equal(all(3));
    expect(await releases.status(2)).to.include({ phase: 'rolling-back' });
    // Those that never had the bad release are not waited for.
    for (const number of canary) await releases.report(number, back.reference);
    const ended = await releases.status(2);
    expect(ended).to.include({ phase: 'rolled-back' });
    expect(ended.rollbackRelease).to.deep.equal(back.reference);
    expect((await (await fleet.api('owner')).getJson('/v1/work', workSchema)).items).to.deep.equal([]);
    expect(await releases.offered(1, '/v1/releases/2').catch(codeOf)).to.equal('release.not-offered');
    expect(await releases.offered(1, '/v1/releases/1')).to.equal(1);
  });

  it('wait for a robot that was off line when the release was withdrawn, and take a robot’s later word', async () => {
    second = await releases.released('second');
    await releases.evaluated(second, first);
    await releases.start(2, { percents: [] });
    await releases.until(
      2,
      ({ step }) => step?.percent === 100,
      async () => reportFrom(await offeredRobots(2), second),
    );
    await releases.command(2, 'rollback');
    const back = await releases.publish(await releases.make(first.adapter, { rollbackTo: 1 }));
    const others = Array.from({ length: ROBOTS }, (_, i) => i + 1).filter((number) => number !== OFF_LINE);
    for (const number of others) await releases.report(number, back.reference);
    const waiting = await releases.status(2);
    expect(waiting).to.include({ phase: 'rolling-back', cause: 'command' });
    const late = waiting.drift.find(({ client }) => client === fleet.clientId(OFF_LINE));
    expect(late).to.deep.include({ expected: back.reference });
    expect(late?.status).to.be.oneOf(['withdrawn-adapter', 'not-reported']);
    // It says that it has the old one under its old counter: the bad one may be on its way to it.
    await releases.report(OFF_LINE, first.reference);
    expect(await releases.status(2)).to.include({ phase: 'rolling-back' });
    await releases.report(OFF_LINE, back.reference);
    expect(await releases.status(2)).to.include({ phase: 'rolled-back' });
  });

  it('go back where robots fall silent', async () => {
    second = await releases.released('second');
    await releases.evaluated(second, first);
    const analysis = { minimumEpisodes: 20, failureLimit: 0, telemetryTimeoutSeconds: 2 };
    await releases.start(2, { analysis, minimumDurationSeconds: 600 });
    const silent = await releases.until(2, ({ phase }) => phase === 'rolling-back');
    expect(silent).to.include({ cause: 'missing-telemetry' });
  });

  it('wait for people where they pause, who name what they saw', async () => {
    second = await releases.released('second');
    await releases.evaluated(second, first);
    await releases.start(2);
    expect(await releases.command(2, 'pause')).to.include({ phase: 'paused', reason: 'operator' });
    await reportFrom(await offeredRobots(2), second);
    await new Promise((resolve) => setTimeout(resolve, 2500));
    expect(await releases.status(2)).to.include({ phase: 'paused' });
    expect(await releases.command(2, 'resume', { reason: 'breach' }).catch(codeOf)).to.equal(
      'rollout.pause-changed',
    );
    expect(await releases.command(2, 'promote', { fromStep: 1 }).catch(codeOf)).to.equal(
      'rollout.other-step',
    );
    expect(await releases.command(2, 'promote', { fromStep: 0 })).to.deep.include({
      phase: 'progressing',
      step: { index: 1, percent: 50 },
    });
    expect(await offeredRobots(2)).to.have.length(5);
    expect(await releases.command(2, 'abort')).to.include({ phase: 'rolling-back', cause: 'abort' });
    expect(await releases.command(1, 'abort').catch(codeOf)).to.equal('rollout.unknown');
  });

  it('admit one at a time, and a newer one in the place of a canary where that is asked for', async () => {
    second = await releases.released('second');
    await releases.evaluated(second, first);
    await releases.start(2);
    const canary = await offeredRobots(2);
    const third = await releases.released('third');
    expect(await releases.start(3).catch(codeOf)).to.equal('rollout.in-progress');
    expect(await releases.start(3, { supersede: true }).catch(codeOf)).to.equal('rollout.no-passed-verdict');
    await releases.evaluated(third, first);
    expect(await releases.start(3, { supersede: true })).to.include({ phase: 'canary' });
    expect(await offeredRobots(3)).to.deep.equal(canary);
    expect(await releases.status(2)).to.deep.include({
      phase: 'aborted',
      reason: 'superseded',
      supersededBy: third.reference,
    });
    expect(await releases.command(2, 'rollback').catch(codeOf)).to.equal('rollout.unknown');
    // The same again, by whoever lost the answer.
    expect(await releases.start(3, { supersede: true })).to.include({ phase: 'canary' });
    expect(await releases.start(1).catch(codeOf)).to.equal('rollout.bad-plan');
    const listed = z.object({ rollouts: z.array(z.object({ rollout: z.int(), phase: z.string() })) });
    const { rollouts } = await (await fleet.api('owner')).getJson('/v1/rollouts', listed);
    expect(rollouts).to.deep.equal([
      { rollout: 3, phase: 'canary' },
      { rollout: 2, phase: 'aborted' },
    ]);
  });

  it('refuse a start that is not valid', async () => {
    second = await releases.released('second');
    const bad: Record<string, unknown>[] = [
      { release: 'two' },
      { release: 0 },
      { release: 2, canaryPercent: 4 },
      { release: 2, canaryPercent: 21 },
      { release: 2, percents: [0] },
      { release: 2, analysis: { minimumEpisodes: 0 } },
      { release: 2, analysis: { successCondition: [] } },
      { release: 2, minimumDurationSeconds: -1 },
      { release: 2, override: 'all' },
      { release: 2, hurry: true },
    ];
    const owner = await fleet.api('owner');
    for (const body of bad) {
      const code = await owner.sendJson('POST', '/v1/rollouts', body, z.unknown()).catch(codeOf);
      expect(code, JSON.stringify(body)).to.equal('request.invalid');
    }
    expect(await releases.start(9).catch(codeOf)).to.equal('request.not-found');
    const quick = { analysis: { telemetryTimeoutSeconds: 1 } };
    expect(await releases.start(2, quick).catch(codeOf)).to.equal('rollout.bad-plan');
    expect((await releases.status(2).catch(codeOf)) as unknown).to.equal('request.not-found');
  });

  it('have nothing to do where every release is everybody’s at once', async () => {
    await fleet.stop();
    await fleet.start({ releases: 'immediate' });
    second = await releases.released('second');
    await releases.evaluated(second, first);
    expect(await releases.offeredToAll()).to.deep.equal(all(2));
    expect(await releases.start(2).catch(codeOf)).to.equal('rollout.releases-immediate');
  });

  it('go on with what the fleet runs where a store is from before there were rollouts', async () => {
    await fleet.stop();
    await fleet.start({ releases: 'immediate' });
    second = await releases.released('second');
    // A store of an earlier version has releases and no history.
    const { state } = fleet.service.context.store;
    for await (const { key, revision } of state.list('rollout')) await state.remove(key, revision);
    await fleet.stop();
    await fleet.start();
    expect(await releases.offeredToAll()).to.deep.equal(all(2));
    await releases.released('third');
    expect(await releases.offeredToAll()).to.deep.equal(all(2));
  });
});
