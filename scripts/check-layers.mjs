/**
 * Imports of lib/ and bin/ point downwards only, and nowhere in a circle: not between files, and not between folders
 * of one layer. Usage: node scripts/check-layers.mjs [folder that holds lib and bin]
 */
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkLayers } from './layers/check.mjs';

const root = process.argv[2] ? resolve(process.argv[2]) : fileURLToPath(new URL('..', import.meta.url));
const { problems, fileCount, importCount } = checkLayers(root);

for (const problem of problems) console.error(problem);
if (problems.length > 0) {
  process.exitCode = 1;
} else {
  console.log(`Layers: ${importCount} imports in ${fileCount} files point downwards, none in a circle.`);
}
