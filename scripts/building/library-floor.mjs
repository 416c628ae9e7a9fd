/** The oldest system libraries that a shared object loads with. */
import { spawnSync } from 'node:child_process';
import { BuildError } from './run.mjs';

// Node 20's own requirements: an addon that asks for more would fail where Node itself runs.
const FLOORS = { GLIBC: '2.28', GLIBCXX: '3.4.25', CXXABI: '1.3.11' };

/** Throws BuildError where `file` needs a newer glibc or libstdc++ than Node 20 does. */
export function checkLibraryFloor(file, objdump) {
  const { status, stdout, error } = spawnSync(objdump, ['-T', file], { encoding: 'utf8' });
  if (status !== 0) throw new BuildError(`${objdump} -T ${file} failed: ${error?.message ?? 'see above'}`);
  for (const [library, floor] of Object.entries(FLOORS)) {
    const versions = [...stdout.matchAll(new RegExp(`\\b${library}_([0-9.]+)`, 'g'))].map(
      (match) => match[1],
    );
    const newest = versions.sort(compareVersions).at(-1);
    if (newest !== undefined && compareVersions(newest, floor) > 0) {
      throw new BuildError(`${file} needs ${library}_${newest}, and Node 20 runs with ${library}_${floor}.`);
    }
  }
}

function compareVersions(left, right) {
  const [a, b] = [left, right].map((version) => version.split('.').map(Number));
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
