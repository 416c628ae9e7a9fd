/** Directories of roles to export and import, looked at through copies: a database once opened here counts as in use. */
import { cp, readdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { KeyStore } from '../../../../lib/custody/keys/key-store.js';
import { openLedger } from '../../../../lib/custody/ledger.js';
import { copyDatabase } from '../../../../lib/durable/database-copy.js';
import { type ExportedRole, exportRole } from '../../../../lib/round/disaster-recovery/export-role.js';
import { type ImportedRole, importRole } from '../../../../lib/round/disaster-recovery/import-role.js';
import { createFleet } from '../../../../lib/round/fleet.js';
import { bytes32 } from '../../../custody/support/bytes.js';
import { temporaryDirectory } from '../../../support/temporary-directory.js';

let made: Promise<string> | undefined;

/** A fleet that no test changes. */
function fleetDirectory(): Promise<string> {
  made ??= (async () => {
    const directory = join(await temporaryDirectory(), 'fleet');
    await createFleet({
      directory,
      ...{ name: 'acme', clients: 2, custodians: 2, threshold: 2, parameterSet: 'lwe-128' },
      ...{ quorumFloor: 2, maxUpdateBytes: 1 << 20, signatureAlgorithms: ['ed25519'] },
      ...{ policyFile: { name: 'policy.json', text: '{"preset": "balanced"}\n' }, defaults: {} },
    });
    return directory;
  })();
  return made;
}

/** A copy, in a place of its own: what another machine, or a look at this one, opens. */
export async function copyOf(directory: string): Promise<string> {
  const copy = join(await temporaryDirectory(), basename(directory));
  // A closed connection takes its log away whenever the garbage collector finds it, perhaps during a plain copy.
  await cp(directory, copy, { recursive: true, filter: (path) => !/\.sqlite(-wal|-shm)?$/.test(path) });
  for (const name of await readdir(directory)) {
    if (name.endsWith('.sqlite')) await copyDatabase(join(directory, name), join(copy, name));
  }
  return copy;
}

/** A role of a new fleet, by its place in it: "custodians/custodian-1". */
export async function roleDirectory(place: string): Promise<string> {
  return copyOf(join(await fleetDirectory(), place));
}

export async function passphraseFile(text = 'correct horse battery'): Promise<string> {
  const path = join(await temporaryDirectory(), 'passphrase');
  await writeFile(path, `${text}\n`, { mode: 0o600 });
  return path;
}

export interface Archive {
  readonly path: string;
  readonly passphraseFile: string;
  readonly exported: ExportedRole;
}

/** Exports a role; its directory is then as after a restart of the machine. */
export async function archiveOf(directory: string): Promise<Archive> {
  const path = join(await temporaryDirectory(), 'role.tgx');
  const passphrase = await passphraseFile();
  const exported = await exportRole({ directory, passphraseFile: passphrase, out: path, scryptLog2N: 10 });
  return { path, passphraseFile: passphrase, exported };
}

export async function newDirectory(): Promise<string> {
  return join(await temporaryDirectory(), 'role');
}

export function importArchive(archive: Archive, directory: string, minEpoch?: number): Promise<ImportedRole> {
  return importRole({
    archive: archive.path,
    passphraseFile: archive.passphraseFile,
    directory,
    ...(minEpoch !== undefined && { minEpoch }),
  });
}

/** Uses a copy's key store. */
export async function withStore<T>(directory: string, use: (store: KeyStore) => Promise<T> | T): Promise<T> {
  const store = await KeyStore.open(await copyOf(directory));
  try {
    return await use(store);
  } finally {
    store.close();
  }
}

/** The ledger of a directory answers for a round, in place. */
export async function answer(directory: string, round: number, set = 'set'): Promise<Uint8Array> {
  const ledger = await openLedger(join(directory, 'ledger.sqlite'));
  try {
    const key = { fleet: 'acme', policy: 'policy', cohort: 'all', round };
    await ledger.answerOnce(
      { ...key, plan: bytes32(`plan ${round}`), set: bytes32(set), updates: [bytes32(`${set} ${round}`)] },
      async () => bytes32('answer'),
    );
    return ledger.head();
  } finally {
    ledger.close();
  }
}

/** What lies beside a directory; nothing, once an import has ended. */
export async function besides(directory: string): Promise<string[]> {
  return (await readdir(dirname(directory))).filter((name) => name !== basename(directory));
}
