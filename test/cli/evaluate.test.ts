import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { Command } from 'commander';
import { evaluateCommand } from '../../lib/cli/commands/evaluate.js';
import type { Output } from '../../lib/cli/output.js';
import { openContainer } from '../../lib/package/reader.js';
import { createFleet } from '../../lib/round/fleet.js';
import { writeAdapter } from '../round/support/adapters.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

/** An evaluator in a module: `candidateFails(seed)` says where the candidate fails. */
const evaluatorModule = (candidateFails: string): string => `export default function* ({ seeds }) {
  const candidateFails = ${candidateFails};
  for (const seed of seeds) for (const adapter of ['candidate', 'baseline']) yield {
    seed, adapter, outOfDistribution: seed % 2 === 1,
    success: adapter === 'baseline' || !candidateFails(seed),
    ...(adapter === 'candidate' && { constraintViolations: 0, klDivergence: 0.05 + (seed % 7) / 100 }),
  };
}`;

interface Printed {
  readonly document?: Readonly<Record<string, unknown>>;
  readonly lines: readonly string[];
  readonly warnings: string[];
}

describe('evaluate', function () {
  this.timeout(60_000);
  let directory: string;
  let printed: Printed;
  const at = (...parts: string[]): string => join(directory, ...parts);

  before(async () => {
    directory = await temporaryDirectory();
    await createFleet({
      directory: at('fleet'),
      name: 'acme',
      clients: 1,
      custodians: 1,
      threshold: 1,
      parameterSet: 'lwe-192',
      quorumFloor: 2,
      maxUpdateBytes: 1_000_000,
      signatureAlgorithms: ['ed25519'],
      policyFile: { name: 'policy.yaml', text: 'preset: balanced\n' },
      defaults: {},
    });
    await writeAdapter(at('current'), 'current');
    await writeFile(at('good.mjs'), evaluatorModule('() => false'));
    await writeFile(at('bad.mjs'), evaluatorModule('(seed) => seed % 3 === 0'));
  });

  /** A candidate of its own for each test: one has one verdict. */
  const newCandidate = (name: string): Promise<string> => writeAdapter(at(name), name);

  async function evaluate(candidate: string, ...options: string[]): Promise<Printed> {
    printed = { lines: [], warnings: [] };
    const { warnings } = printed;
    const output: Output = {
      result: (document, lines) => {
        printed = { document, lines, warnings };
      },
      warn: (line) => warnings.push(line),
      progress: () => undefined,
      say: () => undefined,
      done: () => undefined,
    };
    await evaluateCommand(new Command().exitOverride(), () => output).parseAsync(
      [
        candidate,
        '--baseline',
        at('current'),
        '--owner',
        at('fleet', 'owner'),
        '--out',
        `${candidate}.tgv`,
        ...options,
      ],
      { from: 'user' },
    );
    return printed;
  }

  async function verdictOn(candidate: string) {
    const container = await openContainer(`${candidate}.tgv`, 'verdict');
    await container.close();
    return container.body;
  }

  it('signs, keeps and writes what it found of a good candidate', async () => {
    const candidate = await newCandidate('good');
    const { document, lines } = await evaluate(candidate, '--module', at('good.mjs'), '--seeds-from', '1000');
    expect(document).to.include({ outcome: 'passed', evaluator: 'module', firstSeed: 1000, attempt: 1 });
    expect(lines[0]).to.equal('Passed.');
    expect(lines.some((line) => /^passed +success-rate: 1, limits/.test(line))).to.equal(true);
    expect(existsSync(document?.['kept'] as string)).to.equal(true);
    expect((await verdictOn(candidate)).outcome).to.equal('passed');
  });

  it('ends with evaluation.failed where a bound is violated, and writes the verdict all the same', async () => {
    const candidate = await newCandidate('bad');
    const error = await expectRefusal('evaluation.failed', () =>
      evaluate(candidate, '--module', at('bad.mjs')),
    );
    expect(error).to.have.property('exitCode', 1);
    expect(error.message).to.include('regression: ');
    expect(printed.document).to.equal(undefined);
    expect(printed.warnings.some((line) => line.startsWith('failed '))).to.equal(true);
    expect((await verdictOn(candidate)).outcome).to.equal('failed');
  });

  it('ends with evaluation.inconclusive where all the episodes that the policy allows do not decide', async () => {
    const candidate = await newCandidate('open');
    await expectRefusal('evaluation.inconclusive', () =>
      evaluate(candidate, '--module', at('good.mjs'), '--episodes', '10', '--set', 'safety.maxEpisodes=20'),
    );
    expect(await verdictOn(candidate)).to.deep.include({
      outcome: 'inconclusive',
      looks: { made: 2, planned: 2 },
      episodes: 20,
    });
  });

  it('evaluates once, and again only when told to', async () => {
    const candidate = await newCandidate('again');
    await expectRefusal('evaluation.failed', () => evaluate(candidate, '--module', at('bad.mjs')));
    const untried = join(directory, 'never-run.mjs');
    await expectRefusal('verdict.exists', () => evaluate(candidate, '--module', untried));
    const { document } = await evaluate(candidate, '--module', at('good.mjs'), '--replace');
    expect(document).to.include({ outcome: 'passed', attempt: 2 });
    expect(document).to.have.property('replaces');
  });

  it('runs a command', async () => {
    const candidate = await newCandidate('command');
    const program = `import evaluate from ${JSON.stringify(at('good.mjs'))};
      import { text } from 'node:stream/consumers';
      for (const episode of evaluate(JSON.parse(await text(process.stdin)))) console.log(JSON.stringify(episode));`;
    const command = JSON.stringify([process.execPath, '--input-type=module', '-e', program]);
    expect((await evaluate(candidate, '--evaluator', command)).document).to.include({
      outcome: 'passed',
      evaluator: 'command',
    });
  });

  it("reads LeRobot's results, and passes them only with what they lack waived", async () => {
    const results = (failing: number) =>
      JSON.stringify({
        per_episode: Array.from({ length: 400 }, (_, i) => ({
          episode_ix: i,
          success: i >= failing,
          seed: i,
        })),
      });
    await writeFile(at('candidate.json'), results(2));
    await writeFile(at('baseline.json'), results(4));
    const candidate = await newCandidate('lerobot');
    const files = ['--eval-info', at('candidate.json'), at('baseline.json')];
    const outside = ['--ood-eval-info', at('candidate.json'), at('baseline.json')];
    await expectRefusal('evaluation.inconclusive', () => evaluate(candidate, ...files));
    const waived = ['--allow-unmeasured', 'kl-divergence', 'constraint-violations'];
    const { document } = await evaluate(candidate, ...files, ...outside, ...waived, '--replace');
    expect(document).to.include({ outcome: 'passed', evaluator: 'eval-info', episodes: 800 });
    expect(document).not.to.have.property('firstSeed');
  });

  it('writes no verdict where the evaluator fails', async () => {
    const candidate = await newCandidate('broken');
    await expectRefusal('evaluation.command-failed', () =>
      evaluate(candidate, '--module', at('missing.mjs')),
    );
    expect(existsSync(`${candidate}.tgv`)).to.equal(false);
  });

  for (const [what, options] of [
    ['no evaluator', []],
    ['two evaluators', ['--module', 'a.mjs', '--evaluator', '["a"]']],
    ['results of the candidate alone', ['--eval-info', 'a.json']],
    [
      'results outside of the distribution alone',
      ['--ood-eval-info', 'a.json', 'b.json', '--module', 'a.mjs'],
    ],
    ['a number of episodes for files', ['--eval-info', 'a.json', 'b.json', '--episodes', '10']],
  ] as const) {
    it(`takes ${what} for a mistake of usage`, async () => {
      const candidate = await newCandidate('usage');
      const error = await expectRefusal('usage.evaluator', () => evaluate(candidate, ...options));
      expect(error).to.have.property('exitCode', 2);
    });
  }

  it('takes a command as a JSON array of strings only', async () => {
    for (const text of ['python3 evaluate.py', '[]', '[""]', '{"a":1}', '["a", 1]']) {
      const ended = await evaluate(at('current'), '--evaluator', text).catch((error: unknown) => error);
      expect(ended, text).to.have.property('code', 'commander.invalidArgument');
    }
  });
});
