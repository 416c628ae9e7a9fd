/** The addons, compiled by cmake-js: build/Release (shipped) and build/testing (for tests only). */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { digestInputs, listFiles, readStamp, writeStamp } from './inputs.mjs';
import { answers, BuildError, run } from './run.mjs';

const OUTPUTS = ['build/Release/tensorguard_native.node', 'build/testing/tensorguard_testing.node'];

const INSTALL_TOOLS =
  'On Debian or Ubuntu: apt-get install g++ make cmake. On Fedora: dnf install gcc-c++ make cmake. On macOS: ' +
  'xcode-select --install, and brew install cmake.';

/** Compiles the addons unless their sources, tools and settings are those of the last build. */
export function buildNative(root) {
  const stamp = join(root, 'build/.inputs');
  const digest = digestInputs(
    root,
    [
      'CMakeLists.txt',
      ...listFiles(root, 'native'),
      'node_modules/cmake-js/package.json',
      'node_modules/node-addon-api/package.json',
      'node_modules/node-api-headers/package.json',
    ],
    [process.platform, process.arch, process.env.CXX ?? '', process.env.CXXFLAGS ?? ''],
  );
  if (readStamp(stamp) === digest && OUTPUTS.every((output) => existsSync(join(root, output)))) return;

  requireTools();
  console.log('Compiling the native addon (about a minute the first time) ...');
  rmSync(stamp, { force: true });
  configure(root);
  cmakeJs(root, ['build'], 'The native addon did not compile; the compiler says why above.');
  writeStamp(stamp, digest);
}

function requireTools() {
  if (!answers('cmake')) {
    throw new BuildError(`CMake was not found, and the native addon is built with it. ${INSTALL_TOOLS}`);
  }
  const compilers = process.env.CXX ? [process.env.CXX] : ['c++', 'g++', 'clang++'];
  if (!compilers.some(answers)) {
    throw new BuildError(`No C++ compiler was found (tried ${compilers.join(', ')}). ${INSTALL_TOOLS}`);
  }
}

function configure(root) {
  const parameters = ['configure', '--CDTENSORGUARD_TESTING=ON', '--CDTENSORGUARD_STATIC=ON'];
  const failure = 'CMake could not configure the native addon; it says why above.';
  const cache = join(root, 'build/CMakeCache.txt');
  if (!existsSync(cache)) return cmakeJs(root, parameters, failure);
  try {
    cmakeJs(root, parameters, failure);
  } catch {
    // CMake refuses a build folder of another compiler, generator or path, which is not worth keeping.
    console.log('Starting over with an empty build folder ...');
    rmSync(join(root, 'build'), { recursive: true, force: true });
    cmakeJs(root, parameters, failure);
  }
}

function cmakeJs(root, parameters, failure) {
  run(process.execPath, [join(root, 'node_modules/cmake-js/bin/cmake-js'), '-l', 'error', ...parameters], {
    cwd: root,
    failure,
  });
}
