/** Makes a checkout ready to run: dependencies as the lock file has them, and everything built. */
import { fileURLToPath } from 'node:url';
import { installDependencies } from './build/dependencies.mjs';
import { buildNative } from './build/native.mjs';
import { runMain } from './build/run.mjs';
import { buildTypeScript } from './build/typescript.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
runMain(() => {
  installDependencies(root);
  // `npm ci` has built everything by `prepare`; then these find nothing to do.
  buildNative(root);
  buildTypeScript(root);
});
