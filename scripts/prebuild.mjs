/**
 * The addons that a release ships: prebuilds/linux-{x64,arm64}/tensorguard-native.glibc.node, where node-gyp-build looks
 * for them. Usage: node scripts/prebuild.mjs [x64] [arm64], both where none is named.
 */
import { copyFileSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkLibraryFloor } from './building/library-floor.mjs';
import { BuildError, run, runMain } from './building/run.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

// GNU tools' prefix by architecture; on a machine of that architecture none is needed.
const TRIPLETS = { x64: 'x86_64-linux-gnu-', arm64: 'aarch64-linux-gnu-' };

runMain(() => {
  const architectures = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(TRIPLETS);
  for (const architecture of architectures) prebuild(architecture);
});

function prebuild(architecture) {
  const triplet = TRIPLETS[architecture];
  if (triplet === undefined) {
    throw new BuildError(`No prebuild for ${architecture}; known: ${Object.keys(TRIPLETS).join(', ')}.`);
  }
  const native = architecture === process.arch;
  const folder = join(root, 'build-prebuild', architecture);
  const toolchain = join(root, 'scripts/toolchains', `linux-${architecture}.cmake`);
  // A folder of its own: the developer's build stays as it is.
  const parameters = ['--arch', architecture, '--out', folder];
  if (!native) parameters.push(`--CDCMAKE_TOOLCHAIN_FILE=${toolchain}`);
  const failure = `The addon for ${architecture} did not compile; the reason is above.`;
  const cmakeJs = join(root, 'node_modules/cmake-js/bin/cmake-js');
  for (const step of ['configure', 'build']) {
    run(process.execPath, [cmakeJs, '-l', 'error', step, ...parameters], { cwd: root, failure });
  }

  const target = join(root, 'prebuilds', `linux-${architecture}`, 'tensorguard-native.glibc.node');
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(join(folder, 'Release/tensorguard_native.node'), target);
  const tool = (name) => (native ? name : `${triplet}${name}`);
  run(tool('strip'), ['--strip-all', target], { cwd: root, failure: `${target} could not be stripped.` });
  checkLibraryFloor(target, tool('objdump'));
  console.log(`Built ${target}`);
}
