/**
 * The addons that a release ships: prebuilds/linux-{x64,arm64}/tensorguard-native.glibc.node, where node-gyp-build looks
 * for them. Usage: node scripts/prebuild.mjs [x64] [arm64], both where none is named.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
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
  const tool = (name) => (architecture === process.arch ? name : `${triplet}${name}`);
  // prebuildify moves the addon that it finds in build/Release away: in a folder of its own, not the developer's.
  const folder = join(root, 'build-prebuild', architecture);
  mkdirSync(folder, { recursive: true });
  const parameters = [
    ...['--cwd', folder, '--cache', join(folder, 'cache'), '--out', root, '--name', 'tensorguard-native'],
    ...['--platform', 'linux', '--arch', architecture, '--napi', '--tag-libc', '--libc', 'glibc'],
    ...['--strip', '--strip-bin', tool('strip'), '--node-gyp', join(root, 'scripts/toolchains/node-gyp.mjs')],
  ];
  run(process.execPath, [join(root, 'node_modules/prebuildify/bin.js'), ...parameters], {
    cwd: root,
    failure: `There is no prebuilt addon for ${architecture}; the reason is above.`,
  });

  const target = join(root, 'prebuilds', `linux-${architecture}`, 'tensorguard-native.glibc.node');
  checkLibraryFloor(target, tool('objdump'));
  console.log(`Built ${target}`);
}
