import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { commandEvaluator } from '../../../lib/evaluation/evaluators/command-evaluator.js';
import { parseEpisodeLines } from '../../../lib/evaluation/evaluators/evaluator.js';
import { moduleEvaluator } from '../../../lib/evaluation/evaluators/module-evaluator.js';
import { expectRefusal } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

const REQUEST = { candidate: '/a/candidate', baseline: '/a/baseline', seeds: [3, 4] };
const LIMITS = { timeoutMs: 30_000 };

/** A program that reads the request into `request` and then runs this. */
function program(script: string): readonly [string, ...string[]] {
  return [
    process.execPath,
    '-e',
    `const chunks = []; process.stdin.on('data', (chunk) => chunks.push(chunk)).on('end', () => {
      const request = JSON.parse(Buffer.concat(chunks).toString());
      ${script}
    });`,
  ];
}

const PRINT_ALL = `for (const seed of request.seeds) for (const adapter of ['candidate', 'baseline'])
  console.log(JSON.stringify({ seed, adapter, success: seed % 2 === 0, outOfDistribution: false }));`;

describe('a command that evaluates', function () {
  this.timeout(60_000);

  it('gets the request and gives episodes', async () => {
    const episodes = await commandEvaluator(program(PRINT_ALL), LIMITS)(REQUEST);
    expect(episodes).to.have.lengthOf(4);
    expect(episodes[3]).to.deep.equal({
      seed: 4,
      adapter: 'baseline',
      success: true,
      outOfDistribution: false,
    });
  });

  it('gets one document: format, version, adapters, seeds', async () => {
    const echo = program('console.error(JSON.stringify(request)); process.exit(3);');
    const error = await expectRefusal('evaluation.command-failed', () =>
      commandEvaluator(echo, LIMITS)(REQUEST),
    );
    expect(error.message).to.include('ended with 3');
    expect(error.message).to.include(
      '{"format":"tensorguard-native evaluation request","version":1,"candidate":"/a/candidate","baseline":"/a/baseline","seeds":[3,4]}',
    );
  });

  it('sees no variable of ours', async () => {
    process.env['TENSORGUARD_TEST_SECRET'] = 'x';
    try {
      const spy = program(
        "console.error(Object.keys(process.env).filter((name) => name.startsWith('TENSORGUARD_')).length + ' found, PATH ' + ('PATH' in process.env)); process.exit(1);",
      );
      const error = await expectRefusal('evaluation.command-failed', () =>
        commandEvaluator(spy, LIMITS)(REQUEST),
      );
      expect(error.message).to.include('0 found, PATH true');
    } finally {
      delete process.env['TENSORGUARD_TEST_SECRET'];
    }
  });

  it('is no shell', async () => {
    await expectRefusal('evaluation.command-failed', () =>
      commandEvaluator(['echo hello; true'], LIMITS)(REQUEST),
    );
  });

  it('is killed with what it started when it takes too long', async () => {
    const marker = join(await temporaryDirectory(), 'survived');
    const grandchild = `setTimeout(() => require('fs').writeFileSync(${JSON.stringify(marker)}, ''), 1500)`;
    const slow = program(
      `require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(grandchild)}]); setInterval(() => {}, 1000);`,
    );
    await expectRefusal('evaluation.command-timeout', () =>
      commandEvaluator(slow, { timeoutMs: 700 })(REQUEST),
    );
    await delay(1600);
    expect(existsSync(marker)).to.equal(false);
  });

  it('is killed when it writes without end', async () => {
    const endless = program(
      "const line = 'x'.repeat(65536); const more = () => { while (process.stdout.write(line)); process.stdout.once('drain', more); }; more();",
    );
    await expectRefusal('evaluation.output-too-large', () => commandEvaluator(endless, LIMITS)(REQUEST));
  });

  it('is not believed when it fails after its results', async () => {
    const failing = program(`${PRINT_ALL} process.exitCode = 1;`);
    await expectRefusal('evaluation.command-failed', () => commandEvaluator(failing, LIMITS)(REQUEST));
  });
});

describe('results of an evaluator', () => {
  const good = { seed: 1, adapter: 'candidate', success: true, outOfDistribution: false };

  it('may be followed by empty lines', () => {
    expect(parseEpisodeLines(`${JSON.stringify(good)}\n\n`)).to.deep.equal([good]);
  });

  for (const [what, line] of [
    ['text between them', 'loading checkpoint'],
    ['an array', '[]'],
    ['null for what is not known', { ...good, collisions: null }],
    ['no success', { ...good, success: undefined }],
    ['no word on the distribution', { ...good, outOfDistribution: undefined }],
    ['another adapter', { ...good, adapter: 'other' }],
    ['a fraction of a violation', { ...good, constraintViolations: 0.5 }],
    ['a negative time', { ...good, timeToCompleteSeconds: -1 }],
    [
      'an infinite divergence',
      '{"seed":1,"adapter":"candidate","success":true,"outOfDistribution":false,"klDivergence":1e999}',
    ],
    ['a seed above 32 bits', { ...good, seed: 2 ** 32 }],
    ['a field of another version', { ...good, reward: 1 }],
  ] as const) {
    it(`are refused with ${what}`, async () => {
      const text = typeof line === 'string' ? line : JSON.stringify(line);
      const error = await expectRefusal('evaluation.malformed-result', () =>
        parseEpisodeLines(`${JSON.stringify(good)}\n${text}`),
      );
      expect(error.message).to.include('line 2');
    });
  }
});

describe('a module that evaluates', function () {
  this.timeout(60_000);
  let file: string;

  const evaluate = async (source: string) => {
    await writeFile(file, source);
    return moduleEvaluator(file, LIMITS)(REQUEST);
  };

  beforeEach(async () => {
    file = join(await temporaryDirectory(), 'evaluate here.mjs');
  });

  it('gives episodes as they come, and may log', async () => {
    const episodes = await evaluate(`export default async function* ({ seeds, candidate }) {
      console.log('evaluating', candidate);
      for (const seed of seeds) for (const adapter of ['candidate', 'baseline'])
        yield { seed, adapter, success: true, outOfDistribution: true };
    }`);
    expect(episodes.map(({ seed }) => seed)).to.deep.equal([3, 3, 4, 4]);
  });

  it('may give an array', async () => {
    const episodes = await evaluate(
      "export default ({ seeds }) => [{ seed: seeds[0], adapter: 'candidate', success: false, outOfDistribution: false }];",
    );
    expect(episodes).to.have.lengthOf(1);
  });

  it('needs a default export, and its errors are shown', async () => {
    await expectRefusal('evaluation.command-failed', () => evaluate('export const evaluate = () => [];'));
    await expectRefusal('evaluation.command-failed', () =>
      evaluate("export default () => { throw new Error('no simulator'); };"),
    );
  });
});
