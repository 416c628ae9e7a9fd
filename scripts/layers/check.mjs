/** The layer rule, applied to a checkout. */
import { listFiles } from '../building/inputs.mjs';
import { findCycles } from './cycles.mjs';
import { importsOf } from './imports.mjs';
import { layerOf, refuse, unitOf } from './rules.mjs';

/** What lib/ and bin/ below `root` do against the rule: one message each, "file:line: what". */
export function checkLayers(root) {
  const files = ['lib', 'bin'].flatMap((folder) => listFiles(root, folder, (file) => /\.tsx?$/.test(file)));
  const imports = importsOf(root, files);
  const problems = [
    ...files
      .filter((file) => layerOf(unitOf(file)) === undefined)
      .map((file) => `${file}:1: ${unitOf(file)} is in no layer; give it one in scripts/layers/rules.mjs`),
    ...imports.flatMap(({ file, line, target }) => {
      const reason = refuse(file, target);
      return reason === undefined ? [] : [`${file}:${line}: imports ${target}: ${reason}`];
    }),
    ...describeCycles(imports, 'files', ({ file, target }) => [file, target]),
    ...describeCycles(imports, 'folders', ({ file, target }) => [unitOf(file), unitOf(target)]),
  ];
  return { problems, fileCount: files.length, importCount: imports.length };
}

/** A circle with the line of each import that closes it. */
function describeCycles(imports, kind, endsOf) {
  const edges = new Map();
  const places = new Map();
  for (const entry of imports) {
    const [from, to] = endsOf(entry);
    if (to === undefined || (kind === 'folders' && from === to)) continue;
    edges.set(from, (edges.get(from) ?? new Set()).add(to));
    const key = `${from} ${to}`;
    if (!places.has(key)) places.set(key, `${entry.file}:${entry.line}`);
  }
  return findCycles(edges).map((cycle) => {
    const steps = cycle.map((from, index) => {
      const to = cycle[(index + 1) % cycle.length];
      return `${from} imports ${to} (${places.get(`${from} ${to}`)})`;
    });
    const first = places.get(`${cycle[0]} ${cycle[1 % cycle.length]}`);
    return `${first}: a circle of ${kind}: ${steps.join(', ')}`;
  });
}
