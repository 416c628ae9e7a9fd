/** Makes a checkout ready to run: dependencies as the lock file has them, and everything built. */
import { fileURLToPath } from 'node:url';
import { installDependencies } from './building/dependencies.mjs';
import { buildNative } from './building/native.mjs';
import { runMain } from './building/run.mjs';
import { buildTypeScript } from './building/typescript.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
runMain(() => {
  installDependencies(root);
  // `npm ci` has built everything by `prepare`; then these find nothing to do.
  buildNative(root);
  buildTypeScript(root);
});
