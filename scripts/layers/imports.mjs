/** The relative imports of TypeScript files, resolved to files of the checkout. */
import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import ts from 'typescript';

/**
 * All relative imports of `files` (paths below `root`): static, re-exported, dynamic and type-only alike.
 * `target` is a path below `root` with the extension .ts.
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
        target: normalize(join(dirname(file), fileName)).replace(/\.js$/, '.ts'),
      }));
  });
}
