import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Episode } from '../../lib/evaluation/episodes/episode.js';
import {
  type EvaluateOptions,
  evaluateCandidate,
  evaluateEpisodes,
} from '../../lib/evaluation/evaluate-candidate.js';
import type { EvaluationRequest } from '../../lib/evaluation/evaluators/evaluator.js';
import { adapterFingerprint } from '../../lib/package/messages/release.js';
import { measureAdapter } from '../../lib/round/release/adapter-files.js';
import { writeAdapter } from '../round/support/adapters.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { goodPairs, type PairFields, SAFETY } from './support/episodes.js';

/** Results for a request, as made-up pairs give them by seed. */
function resultsOf({ seeds }: EvaluationRequest, fieldsOf?: (seed: number) => PairFields): Episode[] {
  return goodPairs(Math.max(...seeds) + 1, fieldsOf)
    .filter(({ candidate }) => seeds.includes(candidate.seed))
    .flatMap(({ candidate, baseline }) => [baseline, candidate]);
}

describe('an evaluation', () => {
  let candidate: string;
  let baseline: string;
  let requests: EvaluationRequest[];

  beforeEach(async () => {
    const directory = await temporaryDirectory();
    candidate = await writeAdapter(join(directory, 'candidate'), 'candidate');
    baseline = await writeAdapter(join(directory, 'baseline'), 'baseline');
    requests = [];
  });

  const evaluate = (fieldsOf?: (seed: number) => PairFields, changes: Partial<EvaluateOptions> = {}) =>
    evaluateCandidate({
      candidate,
      baseline,
      evaluator: async (request) => {
        requests.push(request);
        return resultsOf(request, fieldsOf);
      },
      evaluatorKind: 'function',
      safety: SAFETY,
      firstEpisodes: 100,
      firstSeed: 10,
      ...changes,
    });

  it('names the adapters that it was of, and how it was made', async () => {
    const evaluation = await evaluate();
    expect(evaluation.candidate).to.deep.equal(adapterFingerprint(await measureAdapter(candidate)));
    expect(evaluation.baseline).to.deep.equal(adapterFingerprint(await measureAdapter(baseline)));
    expect(evaluation).to.include({ evaluator: 'function', confidence: 0.95, firstSeed: 10 });
    expect(evaluation.limitError).to.be.closeTo(0.0125, 1e-12);
  });

  it('asks for more episodes only as long as they do not decide', async () => {
    // Identical on every seed: 3 % of regression are excluded sooner than 100 pairs can tell.
    const { outcome, looks, episodes } = await evaluate();
    expect(outcome).to.equal('passed');
    expect(looks).to.deep.equal({ made: requests.length, planned: 4 });
    expect(episodes).to.equal(requests.reduce((sum, { seeds }) => sum + seeds.length, 0));
    const bad = await evaluate(() => ({ candidate: { success: false } }));
    expect(bad).to.deep.include({ outcome: 'failed', looks: { made: 1, planned: 4 }, episodes: 100 });
  });

  it('asks for new seeds at every look, and never for one twice', async () => {
    // Fails one seed in five where the bound is four in five: nothing decides.
    const undecided = (seed: number): PairFields => {
      const success = Math.floor(seed / 2) % 5 !== 0;
      return { candidate: { success }, baseline: { success } };
    };
    const looks: number[] = [];
    const evaluation = await evaluate(undecided, { onLook: ({ episodes }) => looks.push(episodes) });
    expect(evaluation).to.deep.include({
      outcome: 'inconclusive',
      looks: { made: 4, planned: 4 },
      episodes: 800,
    });
    expect(looks).to.deep.equal([100, 200, 400, 800]);
    expect(requests.map(({ seeds }) => [seeds[0], seeds.length])).to.deep.equal([
      [10, 100],
      [110, 100],
      [210, 200],
      [410, 400],
    ]);
    expect(
      requests.every((request) => request.candidate === candidate && request.baseline === baseline),
    ).to.equal(true);
  });

  it('is of two different adapters', async () => {
    await expectRefusal('evaluation.same-adapter', () => evaluate(undefined, { baseline: candidate }));
    expect(requests).to.deep.equal([]);
  });

  it('is void where an adapter was changed meanwhile', async () => {
    await expectRefusal('evaluation.adapter-changed', () =>
      evaluate(undefined, {
        evaluator: async (request) => {
          await appendFile(join(candidate, 'adapter_config.json'), ' ');
          return resultsOf(request);
        },
      }),
    );
  });

  it('holds an evaluator to the seeds that it was given', async () => {
    const withoutFailures = async (request: EvaluationRequest) =>
      resultsOf(request).filter(({ adapter, seed }) => adapter === 'baseline' || seed % 3 !== 0);
    await expectRefusal('evaluation.missing-seed', () => evaluate(undefined, { evaluator: withoutFailures }));
  });

  it('does not begin with more episodes than the policy or the seeds allow', async () => {
    await expectRefusal('evaluation.episode-limit', () => evaluate(undefined, { firstEpisodes: 801 }));
    await expectRefusal('evaluation.episode-limit', () => evaluate(undefined, { firstSeed: 2 ** 32 - 50 }));
  });

  it('of episodes that were run elsewhere looks once, with the whole error', async () => {
    const episodes = goodPairs(200).flatMap((pair) => [pair.candidate, pair.baseline]);
    const evaluation = await evaluateEpisodes(episodes, { candidate, baseline, safety: SAFETY });
    expect(evaluation).to.deep.include({
      outcome: 'passed',
      evaluator: 'eval-info',
      looks: { made: 1, planned: 1 },
      episodes: 200,
    });
    expect(evaluation.limitError).to.be.closeTo(0.05, 1e-12);
  });
});
