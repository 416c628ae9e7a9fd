/** The oldest system libraries that a shared object loads with. */
import { spawnSync } from 'node:child_process';
import { BuildError } from './run.mjs';

// glibc as Node 20 itself requires it; libstdc++ of gcc 11 (Debian 12, Ubuntu 22.04, RHEL 9), since a std::exception_ptr
// that crosses threads needs its CXXABI_1.3.13.
const FLOORS = { GLIBC: '2.28', GLIBCXX: '3.4.29', CXXABI: '1.3.13' };

/** Throws BuildError where `file` needs a newer glibc or libstdc++ than these. */
export function checkLibraryFloor(file, objdump) {
  const { status, stdout, error } = spawnSync(objdump, ['-T', file], { encoding: 'utf8' });
  if (status !== 0) throw new BuildError(`${objdump} -T ${file} failed: ${error?.message ?? 'see above'}`);
  for (const [library, floor] of Object.entries(FLOORS)) {
    const versions = [...stdout.matchAll(new RegExp(`\\b${library}_([0-9.]+)`, 'g'))].map(
      (match) => match[1],
    );
    const newest = versions.sort(compareVersions).at(-1);
    if (newest !== undefined && compareVersions(newest, floor) > 0) {
      throw new BuildError(
        `${file} needs ${library}_${newest}, which is newer than the floor of a release, ${library}_${floor}.`,
      );
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
