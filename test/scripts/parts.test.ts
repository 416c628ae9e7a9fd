import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';

type Seconds = Readonly<Record<string, number>>;
type Divide = (files: readonly string[], count: number, seconds?: Seconds) => string[][];

interface Outcome {
  readonly passes: number;
  readonly failures: number;
  readonly pending: number;
  readonly failedParts: number[];
}

type RunSideBySide = (
  parts: readonly (readonly string[])[],
  options: { cwd: string; print(text: Buffer): void },
) => Promise<Outcome>;

const scripts = new URL('../../../scripts/test/', import.meta.url);
const { divide }: { divide: Divide } = await import(new URL('parts.mjs', scripts).href);
const { runSideBySide }: { runSideBySide: RunSideBySide } = await import(
  new URL('side-by-side.mjs', scripts).href
);

describe('test files divided into parts', () => {
  const file = (folder: string, name: string): string => `dist/test/${folder}/${name}.test.js`;
  const files = [
    file('a', '1'),
    file('a', '2'),
    file('b', '1'),
    file('c', 'deep/1'),
    file('d', '1'),
    file('d', '2'),
  ];

  it('are all there once, a folder in one part', () => {
    for (const count of [1, 2, 3, 4, 9]) {
      const parts = divide(files, count, { a: 3 });
      expect(parts.flat()).to.have.members(files).and.to.have.length(files.length);
      expect(parts).to.have.length(Math.min(count, 4));
      for (const folder of ['a', 'd']) {
        const holding = parts.filter((part) => part.some((path) => path.startsWith(`dist/test/${folder}/`)));
        expect(holding).to.have.length(1);
      }
    }
  });

  it('take about equally long, the longest first', () => {
    expect(divide(files, 2, { a: 5, b: 4, c: 3, d: 2 })).to.deep.equal([
      files.filter((path) => /test\/[ad]/.test(path)),
      files.filter((path) => /test\/[bc]/.test(path)),
    ]);
    // Nobody measured d: 2 files, 2 seconds.
    expect(divide(files, 2, { a: 11, b: 4, c: 4 })[1]).to.deep.equal(
      files.filter((path) => /test\/[bcd]/.test(path)),
    );
  });
});

describe('mocha in several processes', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'parts-'));
  });

  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  function part(name: string, source: string): string[] {
    const path = join(folder, `${name}.mjs`);
    writeFileSync(path, source);
    return [
      fileURLToPath(new URL('../../node_modules/mocha/bin/mocha.js', scripts)),
      '--no-config',
      '--reporter',
      fileURLToPath(new URL('closing-line-reporter.mjs', scripts)),
      path,
    ];
  }

  async function run(parts: readonly string[][]): Promise<Outcome & { readonly printed: string }> {
    const printed: Buffer[] = [];
    const outcome = await runSideBySide(parts, { cwd: folder, print: (text) => printed.push(text) });
    return { ...outcome, printed: Buffer.concat(printed).toString('utf8') };
  }

  it('reports in the order of the parts, and counts what all ran', async () => {
    // The first waits for the second.
    const done = JSON.stringify(join(folder, 'done'));
    const first = part(
      'first',
      `import { existsSync } from 'node:fs';
       it('first', async () => { while (!existsSync(${done})) await new Promise((r) => setTimeout(r, 10)); });`,
    );
    const second = part(
      'second',
      `import { writeFileSync } from 'node:fs';
       it('second', () => {}); it('pending'); after(() => writeFileSync(${done}, ''));`,
    );
    const { printed, ...counts } = await run([first, second]);
    expect(counts).to.deep.equal({ passes: 2, failures: 0, pending: 1, failedParts: [] });
    expect(printed.indexOf('first')).to.be.within(0, printed.indexOf('second'));
    // One line for all of them is the caller's.
    expect(printed).not.to.match(/\d+ passed, /);
  });

  it('names the parts that failed, and shows why', async () => {
    const bad = part('bad', "it('fails', () => { throw new Error('the reason'); }); it('passes', () => {});");
    const { printed, ...counts } = await run([part('good', "it('passes', () => {});"), bad]);
    expect(counts).to.deep.equal({ passes: 2, failures: 1, pending: 0, failedParts: [1] });
    expect(printed).to.include('the reason');
  });

  it('takes a process that ended before its report for a failure, whatever its exit status', async () => {
    const quits = part('quits', "it('quits', () => process.exit(0));");
    const { failedParts } = await run([quits, part('good', "it('passes', () => {});")]);
    expect(failedParts).to.deep.equal([0]);
    const broken = await run([part('broken', "throw new Error('does not load');")]);
    expect(broken.failedParts).to.deep.equal([0]);
    expect(broken.printed).to.include('does not load');
  });
});
