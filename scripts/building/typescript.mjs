/** TypeScript to dist/, with nothing left there whose source is gone. */
import { copyFileSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { digestInputs, listFiles, readStamp, writeStamp } from './inputs.mjs';
import { run } from './run.mjs';

const FOLDERS = ['lib', 'bin', 'test', 'bench'];
/** What runs in the browser is bundled (page.mjs). */
const PAGE = 'lib/dashboard/page/';
const isTypeScript = (file) => file.endsWith('.ts') && !file.startsWith(PAGE);

/** Compiles unless sources, settings and dependencies are those of the last build. */
export function buildTypeScript(root) {
  const sources = FOLDERS.flatMap((folder) => listFiles(root, folder, isTypeScript));
  // What the compiler does not copy.
  const assets = listFiles(root, 'lib', (file) => !isTypeScript(file) && !file.startsWith(PAGE));
  const stamp = join(root, 'dist/.inputs');
  const digest = digestInputs(
    root,
    [...sources, ...assets, 'tsconfig.json', 'package.json', 'package-lock.json'],
    [],
  );
  if (readStamp(stamp) === digest && allBuilt(root, sources)) return;

  rmSync(stamp, { force: true });
  removeStale(root, new Set([...sources, ...assets]));
  // The compiler's own record of what it wrote does not notice a file deleted from dist.
  if (!allBuilt(root, sources)) rmSync(join(root, 'dist/.tsbuildinfo'), { force: true });
  console.log('Compiling TypeScript ...');
  run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', root], {
    cwd: root,
    failure: 'TypeScript did not compile; the errors are above.',
  });
  for (const asset of assets) {
    const target = join(root, 'dist', asset);
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(join(root, asset), target);
  }
  writeStamp(stamp, digest);
}

function allBuilt(root, sources) {
  return sources
    .filter((file) => !file.endsWith('.d.ts'))
    .every((file) => existsSync(join(root, 'dist', file.replace(/\.ts$/, '.js'))));
}

/** A test whose source is gone would go on running, and a module would go on being importable and shipped. */
function removeStale(root, sources) {
  for (const folder of FOLDERS) {
    for (const output of listFiles(join(root, 'dist'), folder)) {
      const source = output.replace(/(\.d\.ts|\.js)(\.map)?$/, '.ts');
      if (!sources.has(source) && !sources.has(output)) rmSync(join(root, 'dist', output));
    }
  }
}
