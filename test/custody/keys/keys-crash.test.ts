import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import Database from 'libsql';
import { combineShares } from '../../../lib/custody/break-glass/officer-shares.js';
import { openRecoveryCopy } from '../../../lib/custody/break-glass/recovery-copy.js';
import type { RecoveryDescription } from '../../../lib/custody/break-glass/recovery-description.js';
import { readShareFile, writeShareFile } from '../../../lib/custody/break-glass/share-files.js';
import { kemPublicKey } from '../../../lib/custody/hpke.js';
import { setUpRecovery } from '../../../lib/custody/keys/break-glass.js';
import type { KeyRow } from '../../../lib/custody/keys/key-rows.js';
import { KeyStore } from '../../../lib/custody/keys/key-store.js';
import { recoveryBinding, recoveryDescription } from '../../../lib/custody/keys/recovery-files.js';
import { rotate } from '../../../lib/custody/keys/rotation.js';
import { openLedger } from '../../../lib/custody/ledger.js';
import { LEDGER_FILE } from '../../../lib/custody/role-directory.js';
import type { SecretBytes } from '../../../lib/custody/secret-bytes.js';
import { type WrapperConfig, writeWrapperConfig } from '../../../lib/custody/wrappers/wrapper-config.js';
import { tensorguardEach } from '../../cli/support/command.js';
import { adapterDirectory, clientDirectory, writeSmallAdapters } from '../../cli/support/small-round.js';
import { copyOf as settledCopyOf } from '../../round/disaster-recovery/support/roles.js';
import { outcomeOf } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { ended, startChild } from '../support/child.js';
import { type KeysAct, perform } from './support/keys-acts.js';
import { CUSTODIAN, newStore } from './support/stores.js';

const CHILD = '../keys/support/keys-child';

/** Wraps next to nothing, and quickly: what is at stake here is when it is called. */
function quickWrapper(keyId: string): WrapperConfig {
  return {
    kind: 'command',
    keyId,
    wrap: ['/bin/sh', '-c', 'base64'],
    unwrap: ['/bin/sh', '-c', 'base64 -d'],
  };
}

async function copyOf(directory: string): Promise<string> {
  const copy = join(await temporaryDirectory(), 'role');
  await cp(directory, copy, { recursive: true });
  return copy;
}

interface Walk {
  /** Copied for every trial; none where the act makes it. */
  readonly prepared?: string;
  readonly act: KeysAct | ((trial: string) => KeysAct);
  /** Looks at what a killed act left, and at what it left when it ended by itself. */
  readonly check: (directory: string, act: KeysAct) => Promise<void>;
}

/** Kills the act before its first write, its second, ..., two at a time, until it ends by itself. @returns how many there are */
async function atEveryWrite({ prepared, act, check }: Walk): Promise<number> {
  const trial = async (killAt: number): Promise<boolean> => {
    const parent = await temporaryDirectory();
    const directory = join(parent, 'role');
    if (prepared !== undefined) await cp(prepared, directory, { recursive: true });
    const acting = typeof act === 'function' ? act(parent) : act;
    const { killed, message } = await ended(startChild(CHILD, { ...acting, directory }, killAt));
    expect(message).to.equal(killed ? undefined : 'done');
    await check(directory, acting);
    return killed;
  };
  for (let killAt = 1; killAt < 500; killAt += 2) {
    const [first, second] = await Promise.all([trial(killAt), trial(killAt + 1)]);
    if (!first) return killAt - 1;
    if (!second) return killAt;
  }
  throw new Error('the act has no end');
}

/** Opens a store, uses it, and closes it. */
async function withStore<T>(directory: string, use: (store: KeyStore) => Promise<T>): Promise<T> {
  const store = await KeyStore.open(directory);
  try {
    return await use(store);
  } finally {
    store.close();
  }
}

/** The secret of a key by its recovery copy, as break-glass opens it. */
async function byOfficers(store: KeyStore, row: KeyRow, paths: readonly string[]): Promise<SecretBytes> {
  const description = (await recoveryDescription(store.vault)) as RecoveryDescription;
  const seed = await combineShares(description, await Promise.all(paths.map(readShareFile)));
  const { blob } = store.vault.files.read(row.recovery_file as string);
  return openRecoveryCopy(description, seed, recoveryBinding(store.vault, row), blob);
}

/**
 * What must hold whatever was interrupted: the trail is whole and agrees with the keys' states, the files are exactly those
 * that rows refer to, and every key that is not destroyed gives its secret: by its wrapper, or to its officers.
 *
 * @returns each KEM key's state
 */
async function sound(directory: string, shares: readonly string[] = []): Promise<Record<string, string>> {
  return withStore(directory, async (store) => {
    expect((await store.verifyAudit()).bad).to.equal(undefined);
    const rows = store.vault.rows();
    const files = rows.flatMap(({ secret_file, recovery_file }) => [secret_file, recovery_file]);
    expect(await readdir(join(directory, 'keys'))).to.have.members(files.filter((file) => file !== null));
    await store.signing();
    for (const row of rows) {
      if (row.purpose !== 'kem' || row.state === 'destroyed') continue;
      // Neither way is on the trail, which this must leave as it is.
      const secret = await (row.secret_file === null
        ? byOfficers(store, row, shares)
        : store.vault.unwrap(row));
      expect(await secret.use(kemPublicKey), row.name).to.deep.equal(row.public_key);
      secret.wipe();
    }
    return Object.fromEntries(
      rows.filter(({ purpose }) => purpose === 'kem').map(({ name, state }) => [name, state]),
    );
  });
}

function kindsIn(store: KeyStore, after = 0): string[] {
  return store.vault.trail.entries(after).map(({ kind, key }) => `${kind} ${key ?? ''}`.trim());
}

describe('a key store, its process killed between any two writes', function () {
  this.timeout(120_000);

  /** A custodian's with a deactivated key, an active one, and three officers. */
  let prepared = '';
  let entries = 0;
  let shares: string[] = [];
  const phases = new Set<string>();

  before(async () => {
    const { directory, store } = await newStore();
    await store.createKem(2, 'active');
    await store.transition('kem-1', 'deactivated', 'test');
    const dealt = await setUpRecovery(store, { officers: ['ada', 'grace', 'emmy'], threshold: 2 });
    const folder = await temporaryDirectory();
    shares = dealt.slice(0, 2).map(({ officer }) => join(folder, `${officer}.json`));
    for (const [i, path] of shares.entries()) await writeShareFile(path, dealt[i] as (typeof dealt)[number]);
    entries = store.auditHead().sequence;
    store.close();
    prepared = directory;
  });
  beforeEach(() => phases.clear());

  it('while it is made: is there whole, or is made by another call', async () => {
    const check = async (directory: string, act: KeysAct): Promise<void> => {
      const outcome = await outcomeOf(() => sound(directory));
      if ('code' in outcome) {
        expect(outcome.code).to.be.oneOf(['key.unfinished', 'storage.missing', 'system.enoent']);
        phases.add('unfinished');
        await perform({ ...act, directory });
      } else {
        phases.add('whole');
      }
      expect(await sound(directory)).to.deep.equal({ 'kem-1': 'active' });
      expect(await outcomeOf(() => perform({ ...act, directory }))).to.deep.equal({ code: 'key.exists' });
    };
    const points = await atEveryWrite({ act: { act: 'create', keys: CUSTODIAN }, check });
    expect(points).to.be.greaterThan(15);
    expect([...phases]).to.have.members(['unfinished', 'whole']);
  });

  it('while a key is made for the next epoch: has it or has it not, and makes one in all', async () => {
    const check = async (directory: string): Promise<void> => {
      const states = await sound(directory, shares);
      phases.add(states['kem-3'] ?? 'none');
      await perform({ act: 'rotate', directory });
      const after = { 'kem-1': 'deactivated', 'kem-2': 'active', 'kem-3': 'pre-activation' };
      expect(await sound(directory, shares)).to.deep.equal(after);
      await withStore(directory, async (store) => {
        expect(kindsIn(store, entries).filter((entry) => !entry.startsWith('unwrap'))).to.deep.equal([
          'rotate',
          'create kem-3',
        ]);
      });
    };
    const points = await atEveryWrite({ prepared, act: { act: 'rotate' }, check });
    expect(points).to.be.greaterThan(8);
    expect([...phases]).to.have.members(['none', 'pre-activation']);
  });

  it("while a client's key is made for the next epoch: has one active key at every moment, and never two", async () => {
    const { directory, store } = await newStore({ role: 'client', id: 'client-1', prf: true });
    await rotate(store);
    store.close();
    // A closed database's last files go when the garbage collector sees to them, perhaps while a trial copies them.
    const settled = await settledCopyOf(directory);
    const check = async (trial: string): Promise<void> => {
      const states = await sound(trial);
      phases.add(states['kem-3'] ?? 'none');
      expect(Object.values(states).filter((state) => state === 'active')).to.have.length(1);
      const opens = await withStore(trial, async (opened) => {
        for (const { name, state } of opened.keys()) {
          if (name.startsWith('kem-') && state !== 'destroyed') (await opened.kem(name, 'release')).wipe();
        }
        return opened.newestKem()?.state;
      });
      expect(opens).to.equal('active');
    };
    const points = await atEveryWrite({ prepared: settled, act: { act: 'rotate' }, check });
    expect(points).to.be.greaterThan(8);
    expect([...phases]).to.have.members(['none', 'active']);
  });

  it('while a key is destroyed: has it, or has neither it nor its files', async () => {
    const act: KeysAct = { act: 'destroy', key: 'kem-2' };
    const check = async (directory: string): Promise<void> => {
      const { 'kem-1': other, 'kem-2': state } = await sound(directory, shares);
      expect(other).to.equal('deactivated');
      phases.add(state as string);
      await perform({ ...act, directory });
      expect((await sound(directory, shares))['kem-2']).to.equal('destroyed');
      const names = await readdir(join(directory, 'keys'));
      expect(names.filter((name) => name.includes('kem-2'))).to.deep.equal([]);
      await withStore(directory, async (store) => {
        const made = kindsIn(store, entries).filter((entry) => !entry.startsWith('unwrap'));
        expect(made).to.deep.equal(['deactivate kem-2', 'destroy kem-2']);
      });
    };
    const points = await atEveryWrite({ prepared, act, check });
    expect(points).to.be.greaterThan(8);
    expect([...phases]).to.have.members(['active', 'deactivated', 'destroyed']);
  });

  it('while its keys are wrapped anew: has all of them under one wrapping key', async () => {
    const act: KeysAct = { act: 'rewrap', wrapper: quickWrapper('first') };
    const check = async (directory: string): Promise<void> => {
      expect(await sound(directory, shares)).to.deep.equal({ 'kem-1': 'deactivated', 'kem-2': 'active' });
      const wrappers = await withStore(directory, async (store) => {
        const { id } = await store.wrapperDescription();
        return [id, ...store.keys().map(({ wrapperId }) => wrapperId)];
      });
      expect(new Set(wrappers).size).to.equal(1);
      phases.add(wrappers[0] as string);
      await perform({ ...act, directory });
      await withStore(directory, async (store) => {
        expect(store.keys().map(({ wrapperId }) => wrapperId)).to.deep.equal(Array(3).fill('command:first'));
      });
      await sound(directory, shares);
    };
    const points = await atEveryWrite({ prepared, act, check });
    expect(points).to.be.greaterThan(8);
    expect([...phases]).to.have.members(['none', 'command:first']);
  });

  it('in break-glass: has the use on the trail and the key compromised, or neither, and the officers can do it again', async () => {
    const act: KeysAct = { act: 'break-glass', key: 'kem-2', shares };
    const uses = (directory: string) =>
      withStore(directory, async (store) =>
        kindsIn(store, entries).filter((entry) => entry === 'break-glass kem-2'),
      );
    const check = async (directory: string): Promise<void> => {
      const state = (await sound(directory, shares))['kem-2'] as string;
      phases.add(state);
      const before = await uses(directory);
      expect(before).to.have.length(state === 'compromised' ? 1 : 0);
      await perform({ ...act, directory });
      expect(await uses(directory)).to.have.length(before.length + 1);
      expect((await sound(directory, shares))['kem-2']).to.equal('compromised');
    };
    const points = await atEveryWrite({ prepared, act, check });
    expect(points).to.be.greaterThan(8);
    expect([...phases]).to.have.members(['active', 'compromised']);
  });
});

/** Entries of the ledger: 1 once a round is claimed, 2 once its answer is stored. */
async function ledgerLength(directory: string): Promise<number> {
  (await openLedger(join(directory, LEDGER_FILE))).close();
  const database = new Database(join(directory, LEDGER_FILE), { readonly: true });
  const [length] = database.prepare('SELECT count(*) FROM entry').raw().get() as [number];
  database.close();
  return length;
}

describe('a custodian that answers, its process killed between any two writes', function () {
  this.timeout(120_000);

  let cwd = '';
  const at = (name: string): string => join(cwd, name);

  before(async () => {
    cwd = await temporaryDirectory();
    await mkdir(at('updates'));
    await writeSmallAdapters(cwd);
    await writeWrapperConfig(at('wrapper.json'), quickWrapper('first'));
    const sum = (out: string, ...clients: number[]): string[] => [
      ...['aggregate', ...clients.map((client) => `updates/${client}.tgu`), '--plan', 'R.tgp'],
      ...['--aggregator', 'fleet/aggregator', '--out', out],
    ];
    const commands = [
      ['fleet', 'init', 'fleet', '--clients', '4', '--params', 'lwe-128'],
      [
        'keys',
        'rewrap',
        '--role',
        'fleet/custodians/custodian-1',
        '--wrapper',
        'command',
        '--wrapper-config',
        'wrapper.json',
      ],
      ['plan', '--fleet', 'fleet', '--like', 'adapters/start', '--out', 'R.tgp'],
      ...[1, 2, 3, 4].map((client) => [
        ...['seal', adapterDirectory(client), '--plan', 'R.tgp', '--client', clientDirectory(client)],
        ...['--out', `updates/${client}.tgu`],
      ]),
      sum('A.tga', 1, 2, 3),
      sum('other.tga', 2, 3, 4),
    ];
    for (const { exitCode, stderr } of await tensorguardEach(commands, { cwd })) {
      expect(exitCode, stderr).to.equal(0);
    }
  });

  it('answers for one set, ever, with one answer, and not before both trails have it', async () => {
    const phases = new Set<string>();
    const answering = (trial: string, aggregate: string): KeysAct & { readonly act: 'answer' } => ({
      ...{ act: 'answer', plan: at('R.tgp'), aggregate: at(aggregate) },
      out: join(trial, 'S.tgs'),
    });
    const check = async (directory: string): Promise<void> => {
      const trial = join(directory, '..');
      const act = answering(trial, 'A.tga');
      // Before this process opens it: a closed database's last files go when the garbage collector sees to them.
      const elsewhere = await copyOf(directory);
      const released = existsSync(act.out) ? readFileSync(act.out) : undefined;
      expect(await sound(directory)).to.deep.equal({ 'kem-1': 'active' });
      const kinds = await withStore(directory, async (store) => kindsIn(store));
      const claimed = await ledgerLength(directory);
      if (claimed > 0) expect(kinds).to.include.members(['unwrap kem-1', 'answer']);
      if (kinds.includes('answer'))
        expect(kinds.indexOf('unwrap kem-1')).to.be.below(kinds.indexOf('answer'));
      phases.add(released !== undefined ? 'released' : (['nothing', 'claimed', 'stored'][claimed] as string));

      const other = { ...answering(trial, 'other.tga'), out: join(trial, 'other.tgs') };
      const opposed = await outcomeOf(() => perform({ ...other, directory: elsewhere }));
      expect(opposed).to.deep.equal(claimed > 0 ? { code: 'ledger.round-already-answered' } : undefined);

      await perform({ ...act, directory });
      const answer = readFileSync(act.out);
      if (released !== undefined) expect(answer.equals(released)).to.equal(true);
      await perform({ ...act, directory, out: join(trial, 'again.tgs') });
      expect(readFileSync(join(trial, 'again.tgs')).equals(answer)).to.equal(true);
      expect(await ledgerLength(directory)).to.equal(2);
      await sound(directory);
    };
    const points = await atEveryWrite({
      prepared: at('fleet/custodians/custodian-1'),
      act: (trial) => answering(trial, 'A.tga'),
      check,
    });
    expect(points).to.be.greaterThan(15);
    expect([...phases]).to.have.members(['nothing', 'claimed', 'stored', 'released']);
  });
});
