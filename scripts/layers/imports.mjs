/** The relative imports of TypeScript files, resolved to files of the checkout. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import ts from 'typescript';

/**
 * All relative imports of `files` (paths below `root`): static, re-exported, dynamic and type-only alike.
 * `target` is a path below `root` with the extension .ts, or .tsx where only that is there.
 */
export function importsOf(root, files) {
  return files.flatMap((file) => {
    const text = readFileSync(join(root, file), 'utf8');
    return ts
      .preProcessFile(text)
      .importedFiles.filter(({ fileName }) => fileName.startsWith('.'))
      .map(({ fileName, pos }) => ({
        file,
        line: text.slice(0, pos).split('\n').length,
        target: sourceOf(root, normalize(join(dirname(file), fileName))),
      }));
  });
}

function sourceOf(root, target) {
  const source = target.replace(/\.js$/, '.ts');
  return !existsSync(join(root, source)) && existsSync(join(root, `${source}x`)) ? `${source}x` : source;
}
