import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { expect } from 'chai';
import { requireWhole } from '../../../lib/custody/keys/audit-verification.js';
import { openLedger } from '../../../lib/custody/ledger.js';
import { ended, startChild } from '../../custody/support/child.js';
import type { ImportChildArgument } from './support/import-child.js';
import {
  type Archive,
  answer,
  archiveOf,
  besides,
  copyOf,
  importArchive,
  newDirectory,
  roleDirectory,
  withStore,
} from './support/roles.js';

const CHILD = '../../round/disaster-recovery/support/import-child';

/** Whose state a directory holds, by the newest KEM key, once everything in it was verified; or that there is none. */
async function stateOf(directory: string): Promise<string> {
  if (!existsSync(directory)) return 'absent';
  return withStore(directory, async (store) => {
    requireWhole(await store.verifyAudit());
    await store.signing();
    const secrets = await readdir(join(store.directory, 'keys'));
    const referenced = store.vault.rows().flatMap(({ secret_file }) => secret_file ?? []);
    expect(secrets).to.have.members(referenced);
    const ledger = await openLedger(join(store.directory, 'ledger.sqlite'));
    ledger.close();
    return store.newestKem()?.name ?? 'no KEM key';
  });
}

/** Names of the directories beside the target that hold a signing key. */
async function othersThatSign(target: string): Promise<string[]> {
  const names = await besides(target);
  const keys = names.map(async (name) => {
    const folder = join(dirname(target), name, 'keys');
    const files = existsSync(folder) ? await readdir(folder) : [];
    return files.some((file) => file.startsWith('signing.')) ? [name] : [];
  });
  return (await Promise.all(keys)).flat();
}

function journalOf(target: string): string {
  return join(dirname(target), `.${basename(target)}.import.json`);
}

interface Walk {
  readonly archive: Archive;
  readonly makeTarget: () => Promise<string>;
  readonly counted: ImportChildArgument['counted'];
  /** 1 for every write. */
  readonly stride: number;
  readonly check: (target: string) => Promise<void>;
}

/** Kills imports before their writes until one ends by itself, and checks what each left. @returns the last that was killed */
async function atWrites({ archive, makeTarget, counted, stride, check }: Walk): Promise<number> {
  const { path, passphraseFile } = archive;
  for (let killAt = 1; ; killAt += stride) {
    const target = await makeTarget();
    const argument: ImportChildArgument = { archive: path, passphraseFile, directory: target, counted };
    const { killed, message } = await ended(startChild(CHILD, argument, killAt));
    if (!killed) expect(message).to.include({ done: 'now' });
    await check(target);
    if (!killed) return killAt - stride;
  }
}

/** Until the restored directory is put in place, all is in one of its own, which goes: a few of those writes will do. */
const STAGING = { counted: 'all', stride: 11 } as const;
const COMMIT = { counted: 'commit', stride: 1 } as const;

describe('an import, its process killed', () => {
  it('onto a new machine: leaves nothing, or all of it, and ends when it is run again', async () => {
    const here = await roleDirectory('custodians/custodian-1');
    await answer(here, 1);
    const archive = await archiveOf(here);
    const found = new Set<string>();
    const check = async (target: string): Promise<void> => {
      const state = await stateOf(target);
      found.add(state);
      if (state !== 'absent') expect(await othersThatSign(target)).to.deep.equal([]);
      const again = await importArchive(archive, target);
      expect(again).to.include({ epoch: 2, done: state === 'absent' ? 'now' : 'before' });
      expect(await stateOf(target)).to.equal('kem-2');
      expect(await besides(target)).to.deep.equal([]);
    };
    const points = await atWrites({ archive, makeTarget: newDirectory, ...STAGING, check });
    expect(points).to.be.greaterThan(60);
    await atWrites({ archive, makeTarget: newDirectory, ...COMMIT, check });
    expect([...found].sort()).to.deep.equal(['absent', 'kem-2']);
  }).timeout(180_000);

  it('onto a machine that has the role: leaves the old state or the new one, and ends when it is run again', async () => {
    const here = await roleDirectory('custodians/custodian-1');
    await answer(here, 1);
    const there = await newDirectory();
    await importArchive(await archiveOf(here), there);
    const archive = await archiveOf(await copyOf(there));
    const found = new Set<string>();
    const check = async (target: string): Promise<void> => {
      const committed = existsSync(journalOf(target));
      const state = await stateOf(target);
      found.add(`${state}${committed ? ', committed' : ''}`);
      if (state === 'kem-3') expect(await othersThatSign(target)).to.deep.equal([]);
      const again = await importArchive(archive, target);
      expect(again).to.include({ epoch: 3, done: committed || state === 'kem-3' ? 'before' : 'now' });
      expect(await stateOf(target)).to.equal('kem-3');
      expect(await besides(target)).to.deep.equal([]);
    };
    const makeTarget = () => copyOf(here);
    await atWrites({ archive, makeTarget, ...STAGING, stride: 23, check });
    const points = await atWrites({ archive, makeTarget, ...COMMIT, check });
    expect(points).to.be.greaterThan(8);
    expect([...found].sort()).to.deep.equal([
      'absent, committed',
      'kem-1',
      'kem-1, committed',
      'kem-3',
      'kem-3, committed',
    ]);
  }).timeout(180_000);
});
