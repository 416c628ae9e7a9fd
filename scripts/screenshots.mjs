/** Pictures of the dashboard into docs/images/, of a real run in a real Chromium. */
import { fileURLToPath } from 'node:url';
import { buildNative } from './building/native.mjs';
import { buildPage } from './building/page.mjs';
import { run, runMain } from './building/run.mjs';
import { buildTypeScript } from './building/typescript.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

runMain(() => {
  buildNative(root);
  buildTypeScript(root);
  buildPage(root);
  run(
    process.execPath,
    ['node_modules/mocha/bin/mocha.js', '--no-config', 'dist/test/dashboard/screenshots.js'],
    {
      cwd: root,
      failure: 'The pictures were not taken; the reason is above.',
    },
  );
});
