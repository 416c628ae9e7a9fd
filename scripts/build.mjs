/** Builds what is out of date: the native addons, then TypeScript. npm runs it as `prepare`. */
import { fileURLToPath } from 'node:url';
import { buildNative } from './build/native.mjs';
import { runMain } from './build/run.mjs';
import { buildTypeScript } from './build/typescript.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
runMain(() => {
  buildNative(root);
  buildTypeScript(root);
});
