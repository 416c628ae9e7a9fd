import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';

interface Findings {
  problems: string[];
  fileCount: number;
  importCount: number;
}

const scripts = new URL('../../../scripts/', import.meta.url);
const { checkLayers }: { checkLayers: (root: string) => Findings } = await import(
  new URL('layers/check.mjs', scripts).href
);

describe('the layer rule', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'layers-'));
  });

  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  function write(tree: Record<string, string>): void {
    for (const [file, text] of Object.entries(tree)) {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), text);
    }
  }

  function problemsOf(tree: Record<string, string>): string {
    write(tree);
    return checkLayers(folder).problems.join('\n');
  }

  it('accepts imports that point downwards, past layers and within a folder', () => {
    const report = problemsOf({
      'bin/tensorguard-native.ts': "import '../lib/cli/main.js';",
      'lib/cli/main.ts': "import '../round/round.js'; import '../errors.js'; import './options.js';",
      'lib/cli/options.ts': '',
      'lib/round/round.ts': "import { x } from '../lwe/plan.js'; export { y } from '../custody/ledger.js';",
      'lib/custody/ledger.ts': "import '../package/header.js';",
      'lib/package/header.ts': "import '../errors.js'; import 'node:fs'; import cborg from 'cborg';",
      'lib/lwe/plan.ts': "import '../native.js';",
      'lib/native.ts': "import './errors.js';",
      'lib/errors.ts': '',
    });
    expect(report).to.equal('');
    expect(checkLayers(folder)).to.include({ fileCount: 9, importCount: 10 });
  });

  it('refuses an import that points upwards, with file and line', () => {
    const report = problemsOf({
      'lib/lwe/plan.ts': "import '../errors.js';\n\nimport { sealed } from '../custody/seal.js';\n",
      'lib/custody/seal.ts': 'export const sealed = 1;',
      'lib/errors.ts': '',
    });
    expect(report).to.include('lib/lwe/plan.ts:3: imports lib/custody/seal.ts: lwe is below custody');
  });

  it('refuses upward imports of types, of re-exports and of dynamic imports', () => {
    const report = problemsOf({
      'lib/errors.ts': "import type { Native } from './native.js';",
      'lib/native.ts': "export * from './policy/policy.js';",
      'lib/policy/policy.ts': "export const round = async () => import('../round/round.js');",
      'lib/round/round.ts': '',
    });
    expect(report).to.include('lib/errors.ts:1: imports lib/native.ts: base is below native.ts');
    expect(report).to.include('lib/native.ts:1: imports lib/policy/policy.ts: native.ts is below policy');
    expect(report).to.include('lib/policy/policy.ts:1: imports lib/round/round.ts: policy is below round');
  });

  it('reads code only, not what a comment or a string says', () => {
    const report = problemsOf({
      'lib/lwe/plan.ts':
        "// import '../custody/seal.js';\nexport const text = \"import '../custody/seal.js'\";",
      'lib/custody/seal.ts': '',
    });
    expect(report).to.equal('');
  });

  it('refuses a circle of files in one folder', () => {
    const report = problemsOf({
      'lib/lwe/first.ts': "import './second.js';",
      'lib/lwe/second.ts': "import './third.js';",
      'lib/lwe/third.ts': "import './first.js';",
    });
    expect(report).to.include('lib/lwe/first.ts:1: a circle of files');
    expect(report).to.include('lib/lwe/third.ts imports lib/lwe/first.ts (lib/lwe/third.ts:1)');
  });

  it('refuses a circle of folders in one layer, even where no files are in a circle', () => {
    const report = problemsOf({
      'lib/custody/seal.ts': "import '../package/header.js';",
      'lib/custody/bindings.ts': '',
      'lib/package/header.ts': '',
      'lib/package/writer.ts': "import '../custody/bindings.js';",
    });
    expect(report).to.include('a circle of folders');
    expect(report).to.include('package imports custody (lib/package/writer.ts:1)');
    expect(report).to.not.include('a circle of files');
  });

  it('refuses a folder that no layer lists', () => {
    const report = problemsOf({ 'lib/misc/odds.ts': '' });
    expect(report).to.include('lib/misc/odds.ts:1: misc is in no layer');
  });

  it('refuses shipped code that imports from tests', () => {
    const report = problemsOf({
      'lib/lwe/plan.ts': "import '../../test/support/oracle.js';",
      'test/support/oracle.ts': '',
    });
    expect(report).to.include('test/support/oracle.ts is not part of lib or bin');
  });

  it('ends with exit code 1 and the messages when there are any', () => {
    write({ 'lib/misc/odds.ts': '' });
    const script = fileURLToPath(new URL('check-layers.mjs', scripts));
    const { status, stderr } = spawnSync(process.execPath, [script, folder], { encoding: 'utf8' });
    expect(stderr).to.match(/^lib\/misc\/odds\.ts:1: /);
    expect(status).to.equal(1);
  });
});
