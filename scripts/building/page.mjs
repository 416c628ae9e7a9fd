/** The dashboard's page to dist/page/: one script and one style sheet, with nothing that is fetched from elsewhere. */
import { copyFileSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { digestInputs, listFiles, readStamp, writeStamp } from './inputs.mjs';
import { BuildError, run } from './run.mjs';

const SOURCE = 'lib/dashboard/page';
const COPIED = ['index.html', 'icon.svg'];
const BUNDLED = ['page.js', 'page.css'];

/** Checks types and bundles unless the page, what it imports, and settings are those of the last build. */
export function buildPage(root) {
  // Of the rest of lib it imports types, which say what the server sends.
  const inputs = listFiles(root, 'lib');
  const stamp = join(root, 'dist/page/.inputs');
  const settings = ['tsconfig.json', 'package.json', 'package-lock.json', 'scripts/building/page.mjs'];
  const digest = digestInputs(root, [...inputs, ...settings], []);
  const target = (name) => join(root, 'dist/page', name);
  const complete = [...COPIED, ...BUNDLED].every((name) => existsSync(target(name)));
  if (readStamp(stamp) === digest && complete) return;

  console.log("Bundling the dashboard's page ...");
  rmSync(stamp, { force: true });
  mkdirSync(join(root, 'dist/page'), { recursive: true });
  run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', join(root, SOURCE)], {
    cwd: root,
    failure: "The dashboard's page did not compile; the errors are above.",
  });
  bundle(root, join(root, 'dist/page'));
  for (const name of COPIED) copyFileSync(join(root, SOURCE, name), target(name));
  writeStamp(stamp, digest);
}

function bundle(root, outdir) {
  try {
    buildSync({
      absWorkingDir: root,
      entryPoints: { page: join(SOURCE, 'main.tsx') },
      outdir,
      bundle: true,
      minify: true,
      format: 'esm',
      target: ['es2022', 'chrome111', 'firefox115', 'safari16.4'],
      jsx: 'automatic',
      jsxImportSource: 'preact',
      legalComments: 'eof',
      logLevel: 'warning',
    });
  } catch (error) {
    throw new BuildError(`The dashboard's page could not be bundled. (${error.message})`);
  }
}
