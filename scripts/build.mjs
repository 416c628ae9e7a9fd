/** Builds what is out of date: the native addons, TypeScript, the dashboard's page. npm runs it as `prepare`. */
import { fileURLToPath } from 'node:url';
import { buildNative } from './building/native.mjs';
import { buildPage } from './building/page.mjs';
import { runMain } from './building/run.mjs';
import { buildTypeScript } from './building/typescript.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
runMain(() => {
  buildNative(root);
  buildTypeScript(root);
  buildPage(root);
});
