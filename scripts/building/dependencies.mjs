/** node_modules, compared with package-lock.json and installed from it when they differ. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './run.mjs';

/** Runs `npm ci` unless what is installed is what package-lock.json lists. Returns whether it did. */
export function installDependencies(root) {
  if (isInstalled(root)) return false;
  console.log('Installing dependencies (npm ci) ...');
  run('npm', ['ci', '--no-audit', '--no-fund'], {
    cwd: root,
    failure: 'npm ci failed; npm says why above.',
  });
  return true;
}

function isInstalled(root) {
  // npm's own record of what it put there.
  const record = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(record)) return false;
  const wanted = packagesOf(join(root, 'package-lock.json'));
  const present = packagesOf(record);
  return Object.entries(wanted).every(([path, entry]) => {
    const found = present[path];
    // Optional packages for other platforms are listed and rightly absent.
    if (found === undefined) return path === '' || entry.optional === true;
    return found.version === entry.version && found.integrity === entry.integrity;
  });
}

function packagesOf(lockFile) {
  return JSON.parse(readFileSync(lockFile, 'utf8')).packages ?? {};
}
