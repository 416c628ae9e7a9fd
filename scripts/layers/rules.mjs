/** The layers of lib/, and what an import between two files may do. */

/** Top first; a folder imports from folders further down. Base files (errors.ts, files.ts) come last. */
export const LAYERS = [
  ['bin', 'index.ts'],
  ['cli', 'trial', 'server', 'agents', 'dashboard'],
  ['round', 'rollout', 'evaluation'],
  ['custody', 'pipeline', 'package', 'store', 'observability'],
  ['lwe', 'adapter', 'privacy', 'policy'],
  ['native.ts', 'durable'],
];

/** The unit that a file belongs to: its folder in lib, or a top-level file by its own name. */
export function unitOf(file) {
  const [top, second, ...rest] = file.split('/');
  if (top === 'bin') return 'bin';
  if (top !== 'lib' || second === undefined) return undefined;
  return rest.length > 0 || isNamed(second) ? second : 'base';
}

/** 0 is the top; undefined for a folder that no layer lists. */
export function layerOf(unit) {
  if (unit === 'base') return LAYERS.length;
  const layer = LAYERS.findIndex((units) => units.includes(unit));
  return layer === -1 ? undefined : layer;
}

function isNamed(name) {
  return LAYERS.flat().includes(name);
}

/** Why `file` may not import `target`, or undefined where it may. Circles are found elsewhere. */
export function refuse(file, target) {
  const from = unitOf(file);
  const to = unitOf(target);
  if (to === undefined) return target === 'package.json' ? undefined : `${target} is not part of lib or bin`;
  if (from === to) return undefined;
  const [above, below] = [layerOf(from), layerOf(to)];
  if (above === undefined || below === undefined) return undefined;
  return above > below ? `${from} is below ${to}, and imports point downwards only` : undefined;
}
