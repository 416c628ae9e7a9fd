#!/usr/bin/env node
/**
 * What prebuildify runs in node-gyp's place: compiles the addon for $PREBUILD_ARCH with cmake-js, as the project's own
 * build does. It leaves it as build/Release/*.node below the current directory, where prebuildify looks; that is not the
 * project's, of which the build folder stays as it is. Arguments (versions and headers, which Node-API makes needless)
 * are passed over.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BuildError, run, runMain } from '../building/run.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

runMain(() => {
  const architecture = process.env.PREBUILD_ARCH;
  if (architecture === undefined) throw new BuildError('prebuildify runs this, and sets PREBUILD_ARCH.');
  const parameters = ['--directory', root, '--out', join(process.cwd(), 'build'), '--arch', architecture];
  if (architecture !== process.arch) {
    const toolchain = join(root, 'scripts/toolchains', `linux-${architecture}.cmake`);
    parameters.push(`--CDCMAKE_TOOLCHAIN_FILE=${toolchain}`);
  }
  const cmakeJs = join(root, 'node_modules/cmake-js/bin/cmake-js');
  const failure = `The addon for ${architecture} did not compile; the reason is above.`;
  for (const step of ['configure', 'build']) {
    run(process.execPath, [cmakeJs, '-l', 'error', step, ...parameters], { cwd: root, failure });
  }
});
