/**
 * Builds, then runs the tests: all of them, or those named (`npm test -- test/lwe/plan.test.ts`). What begins with a
 * dash goes to mocha (`npm test -- --grep=quorum`).
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildNative } from './building/native.mjs';
import { runMain } from './building/run.mjs';
import { buildTypeScript } from './building/typescript.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

runMain(() => {
  buildNative(root);
  buildTypeScript(root);
  process.exitCode = runMocha(process.argv.slice(2));
});

function runMocha(parameters) {
  const { spec, timeout } = JSON.parse(readFileSync(join(root, '.mocharc.json'), 'utf8'));
  const named = parameters.filter((parameter) => !parameter.startsWith('-')).map(compiledPath);
  const flags = parameters.filter((parameter) => parameter.startsWith('-'));
  // A test that CI skips is a test that nobody runs.
  const strict = process.env.CI === 'true' ? ['--forbid-only', '--forbid-pending'] : [];
  const { status } = spawnSync(
    process.execPath,
    [
      join(root, 'node_modules/mocha/bin/mocha.js'),
      // The configuration's spec would be added to the named files.
      '--no-config',
      '--timeout',
      String(timeout),
      '--reporter',
      join(root, 'scripts/test/closing-line-reporter.mjs'),
      ...strict,
      ...flags,
      ...(named.length > 0 ? named : spec),
    ],
    { cwd: root, stdio: 'inherit' },
  );
  return status ?? 1;
}

function compiledPath(parameter) {
  const path = relative(root, resolve(parameter));
  return path.startsWith('dist/') ? path : join('dist', path.replace(/\.ts$/, '.js'));
}
