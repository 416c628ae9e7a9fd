/** Real PEFT adapters for tests: data that lies beside the repository and is not part of it. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const REAL_ADAPTERS = ['distilbert-imdb-lora-r8', 'gpt2-lora-r8'] as const;

export type RealAdapter = (typeof REAL_ADAPTERS)[number];

/** The directory of this package's package.json, from the sources and from dist/ alike. */
function repositoryRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const manifest = join(directory, 'package.json');
    if (existsSync(manifest) && readFileSync(manifest, 'utf8').includes('"name": "tensorguard-native"')) {
      return directory;
    }
    const parent = dirname(directory);
    if (parent === directory) throw new Error('The tests lie outside a checkout of tensorguard-native.');
    directory = parent;
  }
}

/**
 * The directory of a real adapter, `../shared/adapters/NAME` from the repository. Where it is absent, the
 * calling test is skipped with a message, or fails when the environment says CI=true: there, a test
 * that silently stops running is worse than one that fails.
 *
 * @param context the test's or hook's `this`
 */
export function realAdapterDirectory(context: Mocha.Context, name: RealAdapter): string {
  const directory = join(repositoryRoot(), '..', 'shared', 'adapters', name);
  if (existsSync(join(directory, 'adapter_model.safetensors'))) return directory;
  const message = `The real adapter ${name} is not at ${directory}`;
  if (process.env['CI'] === 'true') throw new Error(`${message}, and CI=true does not allow skipping.`);
  console.warn(`${message}: skipping the tests that read it.`);
  context.skip();
}
