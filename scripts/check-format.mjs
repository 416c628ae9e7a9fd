/** C++ formatting as .clang-format has it. Usage: node scripts/check-format.mjs [--write] */
import { fileURLToPath } from 'node:url';
import { listFiles } from './building/inputs.mjs';
import { answers, BuildError, run, runMain } from './building/run.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const write = process.argv.includes('--write');

runMain(() => {
  if (!answers('clang-format')) {
    const message =
      'clang-format was not found: C++ formatting is unchecked. On Debian: apt-get install clang-format';
    // In CI an unchecked rule is a broken one.
    if (process.env.CI === 'true') throw new BuildError(message);
    console.log(message);
    return;
  }
  const files = ['native', 'test/native'].flatMap((folder) =>
    listFiles(root, folder, (file) => /\.(cpp|h)$/.test(file)),
  );
  if (files.length === 0) return;
  run('clang-format', [...(write ? ['-i'] : ['--dry-run', '-Werror']), ...files], {
    cwd: root,
    failure: 'C++ files are not formatted; npm run format does it.',
  });
});
