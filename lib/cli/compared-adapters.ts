/** What `release diff` compares: adapter directories, and releases that a client can open, which are looked into. */
import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { loadPeftAdapter, type PeftAdapter } from '../adapter/peft.js';
import { openRole } from '../custody/role-directory.js';
import { UsageError } from '../errors.js';
import { kemWithDigest } from '../round/release/client-kem.js';
import { lookIntoRelease } from '../round/release/look-into-release.js';
import { readRolePolicy } from '../round/role-policy.js';
import { withPrivateTemporary } from './private-temporary.js';

export interface Compared {
  readonly path: string;
  /** Of a release. */
  readonly counter?: number;
  readonly adapter: PeftAdapter;
}

type Side = Omit<Compared, 'adapter'> & { readonly directory: string };

async function isRelease(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() === true;
}

/**
 * Runs `compare` with the two adapters, open. What was decrypted for it lies in the client's own directory meanwhile.
 *
 * @throws UsageError `usage.client`; as `lookIntoRelease` and `loadPeftAdapter` do
 */
export async function withCompared<T>(
  paths: readonly [string, string],
  client: string | undefined,
  compare: (a: Compared, b: Compared) => Promise<T>,
): Promise<T> {
  const releases = await Promise.all(paths.map(isRelease));
  if (client === undefined) {
    if (releases.includes(true)) {
      throw new UsageError(
        'usage.client',
        'A release is encrypted: name a client that it is for, with --client DIR, or compare adapter directories.',
      );
    }
    return withLoaded(
      paths.map((path) => ({ path, directory: path })),
      undefined,
      compare,
    );
  }
  const { policy } = await readRolePolicy(client);
  const { peftTypes } = policy.envelope;
  return withPrivateTemporary(client, async (temporary) => {
    const sides: Side[] = [];
    for (const [i, path] of paths.entries()) {
      if (releases[i] !== true) {
        sides.push({ path, directory: path });
        continue;
      }
      const directory = join(temporary, String(i));
      await mkdir(directory, { mode: 0o700 });
      sides.push({ path, directory, counter: await lookInto(path, client, peftTypes, directory) });
    }
    return withLoaded(sides, peftTypes, compare);
  });
}

/** @returns the release's counter */
async function lookInto(
  file: string,
  client: string,
  peftTypes: readonly string[],
  directory: string,
): Promise<number> {
  const role = await openRole(client, 'client');
  try {
    const { counter } = await lookIntoRelease({
      file,
      roster: role.roster,
      clientId: role.id,
      kemFor: (digest, what) => kemWithDigest(role.store, digest, what),
      peftTypes,
      directory,
    });
    return counter;
  } finally {
    role.close();
  }
}

async function withLoaded<T>(
  [a, b]: readonly Side[],
  peftTypes: readonly string[] | undefined,
  compare: (a: Compared, b: Compared) => Promise<T>,
): Promise<T> {
  const load = async ({ directory, ...side }: Side): Promise<Compared> => ({
    ...side,
    adapter: await loadPeftAdapter(directory, peftTypes === undefined ? {} : { peftTypes }),
  });
  const left = await load(a as Side);
  try {
    const right = await load(b as Side);
    try {
      return await compare(left, right);
    } finally {
      await right.adapter.tensors.close();
    }
  } finally {
    await left.adapter.tensors.close();
  }
}
