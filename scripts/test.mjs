/**
 * Builds, then runs the tests: all of them, or those named (`npm test -- test/lwe/plan.test.ts`). What begins with a
 * dash goes to mocha (`npm test -- --grep=quorum`). All of them run in as many processes as there are processors.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { listFiles } from './building/inputs.mjs';
import { buildNative } from './building/native.mjs';
import { buildPage } from './building/page.mjs';
import { runMain } from './building/run.mjs';
import { buildTypeScript } from './building/typescript.mjs';
import { closingLine } from './test/closing-line.mjs';
import { divide } from './test/parts.mjs';
import { runSideBySide } from './test/side-by-side.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const MAX_PROCESSES = 4;

runMain(() => {
  buildNative(root);
  buildTypeScript(root);
  buildPage(root);
});
if (process.exitCode === undefined) process.exitCode = await runTests(process.argv.slice(2));

async function runTests(parameters) {
  const named = parameters.filter((parameter) => !parameter.startsWith('-')).map(compiledPath);
  const flags = parameters.filter((parameter) => parameter.startsWith('-'));
  const parts =
    named.length > 0
      ? [named]
      : divide(
          listFiles(root, 'dist/test', (file) => file.endsWith('.test.js')),
          Math.min(availableParallelism(), MAX_PROCESSES),
        );
  const outcome = await runSideBySide(
    parts.map((files) => mochaParameters(flags, files)),
    { cwd: root },
  );
  const { failedParts } = outcome;
  if (failedParts.length > 0 && parts.length > 1) {
    const list = failedParts.map((i) => i + 1).join(' and ');
    console.error(`Failed: report ${list} of the ${parts.length} above; each ends with its failures.`);
  }
  console.log(closingLine(outcome));
  return failedParts.length > 0 ? 1 : 0;
}

function mochaParameters(flags, files) {
  const { timeout } = JSON.parse(readFileSync(join(root, '.mocharc.json'), 'utf8'));
  // A test that CI skips is a test that nobody runs.
  const strict = process.env.CI === 'true' ? ['--forbid-only', '--forbid-pending'] : [];
  return [
    join(root, 'node_modules/mocha/bin/mocha.js'),
    // The configuration's spec would be added to the named files.
    '--no-config',
    '--timeout',
    String(timeout),
    '--reporter',
    join(root, 'scripts/test/closing-line-reporter.mjs'),
    ...(process.stdout.isTTY ? ['--color'] : []),
    ...strict,
    ...flags,
    ...files,
  ];
}

function compiledPath(parameter) {
  const path = relative(root, resolve(parameter));
  return path.startsWith('dist/') ? path : join('dist', path.replace(/\.ts$/, '.js'));
}
