/** Builds what is out of date: the native addons, then TypeScript. npm runs it as `prepare`. */
import { fileURLToPath } from 'node:url';
import { buildNative } from './building/native.mjs';
import { runMain } from './building/run.mjs';
import { buildTypeScript } from './building/typescript.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
runMain(() => {
  buildNative(root);
  buildTypeScript(root);
});
