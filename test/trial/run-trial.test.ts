import { existsSync } from 'node:fs';
import { expect } from 'chai';
import { perturbAdapter } from '../../lib/adapter/synthetic.js';
import { planOf } from '../../lib/server/context.js';
import { checkRounding } from '../../lib/trial/rounding-check.js';
import { runTrial, type Trial, type TrialOptions } from '../../lib/trial/run-trial.js';
import { RANK, SMALL_SHAPES } from '../cli/support/small-round.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

async function options(changes: Partial<TrialOptions> = {}): Promise<TrialOptions> {
  return {
    directory: await temporaryDirectory(),
    ...{ host: '127.0.0.1', port: 0, version: '0.0.0', shapes: SMALL_SHAPES, rank: RANK },
    log: { level: 'silent' },
    onStep: () => undefined,
    onTrouble: () => undefined,
    signal: new AbortController().signal,
    ...changes,
  };
}

describe('a trial', function () {
  this.timeout(120_000);

  let trial: Trial;
  let directory: string;
  const told: string[] = [];
  const troubles: string[] = [];

  before(async () => {
    const given = await options({
      onStep: ({ text }) => told.push(text),
      onTrouble: (line) => troubles.push(line),
    });
    directory = given.directory;
    trial = await runTrial(given);
  });
  after(() => trial.service.stop());

  it('runs one round from keys to releases at the robots, and tells it step by step', () => {
    const { report, steps } = trial;
    expect(report).to.include({ robots: 4, custodians: 4, threshold: 3, sums: 640, wrongSums: 0 });
    expect(report.updateBytes).to.have.length(4);
    for (const bytes of report.updateBytes) expect(bytes).to.be.greaterThan(10_000);
    expect(report.comparison.cosine).to.be.greaterThan(0.99);
    expect(troubles).to.deep.equal([]);
    expect(steps.map(({ text }) => text)).to.deep.equal(told);
    const at = (start: RegExp): number => told.findIndex((line) => start.test(line));
    const story = [
      /^A fleet/,
      /^The service listens/,
      /planned round 1/,
      /sealed its delta/,
      /added 4 ciphertexts/,
    ];
    const end = [
      /answered for the sum/,
      /opened the sum/,
      /released the average/,
      /fetched the release/,
      /^Checked/,
    ];
    const order = [...story, ...end].map(at);
    expect(order).to.not.include(-1);
    expect(order).to.deep.equal([...order].sort((a, b) => a - b));
    for (const [i, { afterMs }] of steps.entries()) {
      expect(afterMs).to.be.at.least(steps[i - 1]?.afterMs ?? 0);
    }
  });

  it('finds an average that is not the robots’ own', async () => {
    const plan = await planOf(trial.service.context, trial.report.plan);
    const adapters = `${directory}/adapters`;
    const trained = [1, 2, 3, 4].map((number) => `${adapters}/robot-${number}`);
    const fleet = { base: `${adapters}/base`, trained };
    const average = `${directory}/averages/1`;
    expect(await checkRounding(fleet, plan, average)).to.deep.equal({ values: 640, outOfReach: 0 });
    const wrong = `${directory}/wrong`;
    await perturbAdapter(average, wrong, { seed: 'wrong', standardDeviation: 0.0001 });
    expect((await checkRounding(fleet, plan, wrong)).outOfReach).to.be.greaterThan(300);
    // One robot too many, or too few, in what it is held against.
    const fewer = { ...fleet, trained: trained.slice(1) };
    expect((await checkRounding(fewer, plan, average)).outOfReach).to.be.greaterThan(300);
  });

  it('leaves a service that goes on, and ends at once although agents had listened to it', async () => {
    expect((await fetch(`${trial.service.address}/readyz`)).status).to.equal(200);
    const started = performance.now();
    expect(await trial.service.stop()).to.equal(true);
    expect(performance.now() - started).to.be.lessThan(5000);
  });

  it('ends when it is told to, and lets go of its port', async () => {
    const stopping = new AbortController();
    let address = '';
    const onStep: TrialOptions['onStep'] = ({ text }) => {
      address = /http:\/\/[0-9.:]+\d/.exec(text)?.[0] ?? address;
      if (text.includes('planned round')) stopping.abort();
    };
    const code = await runTrial(await options({ onStep, signal: stopping.signal })).then(
      () => undefined,
      (error: { readonly code?: string }) => error.code,
    );
    expect(code).to.equal('trial.interrupted');
    expect(await fetch(`${address}/healthz`).catch(() => 'gone')).to.equal('gone');
  });

  it('gives up after a while, and says what agents had complained about', async () => {
    const given = await options({ timeoutMs: 1 });
    const error = await runTrial(given).catch(
      (caught: unknown) => caught as { code: string; message: string },
    );
    expect(error).to.include({ code: 'trial.not-finished' });
    expect((error as { message: string }).message).to.match(/did not end within/);
    // The caller removes the directory.
    expect(existsSync(given.directory)).to.equal(true);
  });
});
