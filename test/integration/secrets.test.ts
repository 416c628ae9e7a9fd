/**
 * Secrets stay where they belong: a fleet whose secrets are all known, and everything that its commands say and write.
 *
 * Who can read this process's memory reads its keys: JavaScript copies strings and buffers as it likes. What is shown here is
 * that nothing of ours prints them.
 */
import { chmod, cp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { inspect } from 'node:util';
import { expect } from 'chai';
import { readShareFile } from '../../lib/custody/break-glass/share-files.js';
import { openCustodian } from '../../lib/custody/custodian-directory.js';
import { breakGlass, setUpRecovery } from '../../lib/custody/keys/break-glass.js';
import { KeyStore } from '../../lib/custody/keys/key-store.js';
import { createLedger } from '../../lib/custody/ledger.js';
import { openRole } from '../../lib/custody/role-directory.js';
import { SecretBytes } from '../../lib/custody/secret-bytes.js';
import {
  newPassphraseConfig,
  openWrapper,
  writeWrapperConfig,
} from '../../lib/custody/wrappers/wrapper-config.js';
import { type Ended, tensorguardEach } from '../cli/support/command.js';
import { adapterDirectory, clientDirectory, writeSmallAdapters } from '../cli/support/small-round.js';
import { bytes32 } from '../custody/support/bytes.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

/** Of a wrapped key file's content, before the secret: a digest of whose it is. */
const BINDING_BYTES = 32;
/** A part of a secret that no chance repeats, and that tools which cut long values still show. */
const PART_BYTES = 12;

const PASSPHRASES = { custodian: 'staple-of-correct-horses', archive: 'a-battery-for-the-archive' };

interface Secret {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** The characters that `part` gives in base64, wherever in a longer text it begins. */
function base64Forms(part: Buffer): string[] {
  return [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), part])
      .toString('base64')
      .replace(/=+$/, '');
    // The first and last characters also hold bits of what is around.
    return text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + part.length) * 8) / 6));
  });
}

/** How a secret could be written: as it is, hexadecimal, base64, decimal; its beginning or its end. */
function formsOf({ bytes }: Secret): string[] {
  const parts = [bytes.subarray(0, PART_BYTES), bytes.subarray(-PART_BYTES)].map((part) => Buffer.from(part));
  return parts.flatMap((part) => [
    part.toString('latin1'),
    part.toString('hex'),
    ...base64Forms(part),
    [...part].join(','),
  ]);
}

/** A text as it is, and without what printers put between bytes. */
function readings(content: string | Uint8Array): string[] {
  const text = typeof content === 'string' ? content : Buffer.from(content).toString('latin1');
  const bare = text.replace(/\s/g, '').replace(/"?\d+"?:(?=\d)/g, '');
  return [text, bare, bare.toLowerCase(), bare.replaceAll('-', '+').replaceAll('_', '/')];
}

/** Names of the secrets that a text shows. */
function shownIn(content: string | Uint8Array, secrets: readonly Secret[]): string[] {
  const all = readings(content);
  return secrets
    .filter((secret) => formsOf(secret).some((form) => all.some((text) => text.includes(form))))
    .map(({ name }) => name);
}

async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
}

/** The secrets of every key that rests in the clear below a directory. */
async function unwrappedSecrets(directory: string): Promise<Secret[]> {
  const secrets: Secret[] = [];
  for (const path of await filesBelow(directory)) {
    if (!path.endsWith('.key') || path.includes('.recovery.')) continue;
    const { wrapper, blob } = JSON.parse(await readFile(path, 'utf8')) as { wrapper: string; blob: string };
    if (wrapper !== 'none') continue;
    const bytes = Uint8Array.from(Buffer.from(blob, 'base64').subarray(BINDING_BYTES));
    const whose = `${basename(dirname(dirname(path)))} ${basename(path).split('.')[0]}`;
    // Signing keys hold two seeds.
    for (let at = 0; at < bytes.length; at += 32) {
      secrets.push({ name: `${whose} at ${at}`, bytes: bytes.subarray(at, at + 32) });
    }
  }
  return secrets;
}

describe('a search for secrets', () => {
  const secret: Secret = { name: 'it', bytes: bytes32('a secret') };
  const { bytes } = secret;
  const embedded = Buffer.concat([bytes32('before'), bytes, bytes32('after')]);

  it('finds one in every way that it may be written, and none where there is none', () => {
    const texts = [
      embedded,
      embedded.toString('hex'),
      embedded.toString('hex').toUpperCase(),
      embedded.toString('base64'),
      embedded.subarray(1).toString('base64url'),
      embedded.subarray(2).toString('base64'),
      inspect(bytes),
      inspect(Buffer.from(bytes)),
      JSON.stringify(bytes, null, 2),
      JSON.stringify([...bytes]),
      `cut ${Buffer.from(bytes.subarray(0, 12)).toString('hex')}...`,
    ];
    for (const text of texts) expect(shownIn(text, [secret]), String(text)).to.deep.equal(['it']);
    expect(shownIn(inspect(bytes32('another')), [secret])).to.deep.equal([]);
  });
});

describe('the secrets of a fleet', function () {
  this.timeout(120_000);

  let cwd = '';
  const secrets: Secret[] = [];
  const path = (name: string): string => join(cwd, name);
  const custodian = (index: number): string => `fleet/custodians/custodian-${index}`;
  const role = (directory: string): string[] => ['--role', directory];

  /** Runs each command twice, for people and with --json ("%" stands for which), and looks at all that it says. */
  async function expectSilent(
    commands: readonly (readonly string[])[],
    expected: 'succeed' | 'fail',
  ): Promise<Ended[]> {
    const as = (kind: string, args: readonly string[]) => args.map((arg) => arg.replace('%', kind));
    const all = commands.flatMap((args) => [as('text', args), [...as('json', args), '--json']]);
    const ended = await tensorguardEach(all, { cwd });
    for (const [i, { exitCode, stdout, stderr }] of ended.entries()) {
      const what = all[i]?.join(' ');
      expect(exitCode === 0, `${what}\n${stdout}${stderr}`).to.equal(expected === 'succeed');
      expect(`${stdout}${stderr}`, `${what} says something`).to.match(/\S/);
      expect(shownIn(stdout, secrets), `stdout of ${what}`).to.deep.equal([]);
      expect(shownIn(stderr, secrets), `stderr of ${what}`).to.deep.equal([]);
      expect(stderr, what).not.to.include('internal.unexpected');
    }
    return ended;
  }

  async function run(...commands: readonly (readonly string[])[]): Promise<void> {
    for (const { exitCode, stdout, stderr } of await tensorguardEach(commands, { cwd })) {
      expect(exitCode, `${stdout}${stderr}`).to.equal(0);
    }
  }

  before(async () => {
    cwd = await temporaryDirectory();
    await writeSmallAdapters(cwd);
    for (const [name, text] of Object.entries(PASSPHRASES)) {
      await writeFile(path(`${name}.passphrase`), `${text}\n`, { mode: 0o600 });
      secrets.push({ name: `passphrase ${name}`, bytes: new TextEncoder().encode(text) });
    }
    const init = ['fleet', 'init', 'fleet', '--clients', '4', '--params', 'lwe-128'];
    await run([...init, '--post-quantum-signatures']);
    secrets.push(...(await unwrappedSecrets(path('fleet'))));
    await run(
      [
        'keys',
        'rewrap',
        ...role(custodian(2)),
        '--wrapper',
        'passphrase',
        '--passphrase-file',
        'custodian.passphrase',
      ],
      [
        ...[
          'keys',
          'break-glass',
          'init',
          ...role(custodian(1)),
          '--officers',
          'ada,grace',
          '--threshold',
          '2',
        ],
        ...['--out', 'shares'],
      ],
    );
    for (const officer of ['ada', 'grace']) {
      const { share } = await readShareFile(path(`shares/custodian-1.${officer}.share.json`));
      secrets.push({ name: `share of ${officer}`, bytes: share.use((bytes) => Uint8Array.from(bytes)) });
    }
  });

  it('are all known here', () => {
    const names = secrets.map(({ name }) => name);
    // Two seeds for each of eleven roles, a KEM key for nine of them, a PRF key for four.
    expect(names.filter((name) => name.includes(' signing '))).to.have.length(22);
    expect(names.filter((name) => name.includes(' kem-1 '))).to.have.length(9);
    expect(names.filter((name) => name.includes(' prf '))).to.have.length(4);
    expect(secrets).to.have.length(22 + 9 + 4 + 2 + 2);
    expect(new Set(secrets.map(({ bytes }) => Buffer.from(bytes).toString('hex'))).size).to.equal(39);
  });

  it('are in nothing that the commands of a round and of key management say', async () => {
    const plan = ['--plan', 'R.tgp'];
    await expectSilent(
      [
        ['plan', '--fleet', 'fleet', '--like', 'adapters/start', '--out', 'R.tgp'],
        ['plan', '--fleet', 'fleet', '--like', 'adapters/start', '--explain'],
      ],
      'succeed',
    );
    await expectSilent(
      [1, 2, 3].map((number) => [
        ...['seal', adapterDirectory(number), ...plan, '--client', clientDirectory(number)],
        ...['--out', `updates/${number}.tgu`],
      ]),
      'succeed',
    );
    await expectSilent(
      [
        ['aggregate', 'updates', ...plan, '--aggregator', 'fleet/aggregator', '--out', 'A.tga'],
        ...[1, 2, 3].map((index) => [
          ...[
            'custodian',
            'answer',
            'A.tga',
            ...plan,
            '--custodian',
            custodian(index),
            '--out',
            `S${index}.tgs`,
          ],
        ]),
        [
          'open',
          'A.tga',
          ...plan,
          '--owner',
          'fleet/owner',
          '--answers',
          'S1.tgs',
          'S2.tgs',
          'S3.tgs',
          '--out',
          'average',
        ],
        ['close', 'A.tga', ...plan, '--owner', 'fleet/owner', '--out', 'R.tgc'],
        ['keys', 'list', ...role(custodian(1))],
        ['keys', 'status', ...role(custodian(2))],
        ['keys', 'audit', 'show', ...role(custodian(1))],
        ['keys', 'audit', 'verify', ...role(custodian(2))],
        ['keys', 'audit', 'head', ...role(custodian(1)), '--out', 'head.json'],
        ['keys', 'rotate', ...role(custodian(4))],
        ['keys', 'rewrap', ...role(custodian(3)), '--wrapper', 'none'],
        [
          'keys',
          'export',
          ...role(custodian(3)),
          '--passphrase-file',
          'archive.passphrase',
          '--out',
          'role.%.tgx',
        ],
        ['doctor'],
      ],
      'succeed',
    );
    secrets.push(...(await unwrappedSecrets(path(custodian(4)))));
  });

  it('are in nothing that `inspect` says of the files of a round', async () => {
    const files = ['fleet/roster.tgo', 'R.tgp', 'updates/1.tgu', 'A.tga', 'S1.tgs', 'R.tgc'];
    const enrolment = `${custodian(4)}/enrolment.tge`;
    await expectSilent(
      [...files, enrolment].map((file) => ['inspect', file]),
      'succeed',
    );
    await expectSilent(
      [[...['inspect', `${custodian(1)}/keystore.sqlite`]], ['inspect', 'shares/custodian-1.ada.share.json']],
      'fail',
    );
  });

  it('are in nothing that a command says which fails over a file of secrets', async () => {
    /** Of a custodian that has not answered: it would give its answer again without a key. */
    const copy = async (directory: string): Promise<void> => {
      await cp(path(custodian(1)), path(directory), { recursive: true });
      for (const name of await readdir(path(directory))) {
        if (name.startsWith('ledger.sqlite')) await rm(join(path(directory), name));
      }
      (await createLedger(join(path(directory), 'ledger.sqlite'))).close();
    };
    await copy('unanswered');
    const damage = async (index: number, change: (text: string) => string): Promise<string> => {
      const directory = `damaged-${index}`;
      await copy(directory);
      const names = await readdir(path(`${directory}/keys`));
      for (const name of names.filter((each) => !each.includes('.recovery.'))) {
        const file = path(`${directory}/keys/${name}`);
        await writeFile(file, change(await readFile(file, 'utf8')));
      }
      return directory;
    };
    const damaged = [
      await damage(1, (text) => text.slice(0, -9)),
      await damage(2, (text) => text.replace('"version":1', '"version":1,"more":true')),
      await damage(3, (text) => text.replace('"none"', '"nothing"')),
      await damage(4, (text) => (JSON.parse(text) as { blob: string }).blob),
      await damage(5, (text) =>
        text.replace(/"blob":"(.)/, (_, first: string) => `"blob":"${first === 'A' ? 'B' : 'A'}`),
      ),
    ];
    await chmod(path('shares/custodian-1.ada.share.json'), 0o600);
    const share = await readFile(path('shares/custodian-1.ada.share.json'), 'utf8');
    await writeFile(path('bad.share.json'), share.slice(0, -6), { mode: 0o600 });
    await writeFile(path('wrong.passphrase'), `${PASSPHRASES.archive} \n`, { mode: 0o600 });
    // A program that traces what it is given, as hexadecimal on its error output, and then gives up.
    const program = "process.stderr.write(require('fs').readFileSync(0).toString('hex')); process.exit(3)";
    const trace = [process.execPath, '-e', program];
    await writeWrapperConfig(path('wrapper.json'), {
      ...{ kind: 'command', keyId: 'tracing' },
      wrap: trace,
      unwrap: trace,
    } as Parameters<typeof writeWrapperConfig>[1]);
    const ended = await expectSilent(
      [
        ...damaged.map((directory) => ['keys', 'rotate', ...role(directory)]),
        ...damaged.map((directory) => [
          'custodian',
          'answer',
          'A.tga',
          '--plan',
          'R.tgp',
          '--custodian',
          directory,
          '--out',
          'x',
        ]),
        ['keys', 'rewrap', ...role(custodian(3)), '--wrapper', 'command', '--wrapper-config', 'wrapper.json'],
        [
          'keys',
          'rewrap',
          ...role(custodian(3)),
          '--wrapper',
          'passphrase',
          '--passphrase-file',
          'fleet/fleet.json',
        ],
        [
          ...[
            'keys',
            'break-glass',
            'answer',
            'A.tga',
            '--plan',
            'R.tgp',
            '--custodian',
            custodian(1),
            '--key',
            'kem-1',
          ],
          ...['--reason', 'a drill', '--shares', 'bad.share.json', '--out', 'x'],
        ],
        [
          ...[
            'keys',
            'break-glass',
            'answer',
            'A.tga',
            '--plan',
            'R.tgp',
            '--custodian',
            'unanswered',
            '--key',
            'kem-1',
          ],
          ...['--reason', 'a drill', '--shares', 'shares/custodian-1.ada.share.json', '--out', 'x'],
        ],
        ['keys', 'import', 'role.text.tgx', ...role('restored'), '--passphrase-file', 'wrong.passphrase'],
      ],
      'fail',
    );
    // Each over the secret itself, not over something that comes before it.
    const codes = ended.filter((_, i) => i % 2 === 0).map(({ stderr }) => stderr.split(':')[0]);
    const damages = [
      'key.malformed',
      'key.malformed',
      'key.wrapped-elsewhere',
      'key.malformed',
      'key.wrong-secret',
    ];
    expect(codes).to.deep.equal([
      ...damages,
      ...damages,
      'wrapper.command-failed',
      'wrapper.file-permissions',
      'break-glass.malformed-share',
      'break-glass.too-few-shares',
      'archive.not-opened',
    ]);
    const traced = ended.find(({ stderr }) => stderr.startsWith('wrapper.command-failed'));
    expect(traced?.stderr).to.include('withheld');
  });

  it('are in no file but those that hold keys, passphrases and shares', async () => {
    const homes = /(\.key|\.passphrase|\.share\.json)$/;
    const files = (await filesBelow(cwd)).filter((file) => !homes.test(file));
    expect(files.length).to.be.above(60);
    for (const file of files) expect(shownIn(await readFile(file), secrets), file).to.deep.equal([]);
    // Behind a wrapper, not in those either.
    const wrapped = secrets.filter(({ name }) => name.startsWith('custodian-2 '));
    expect(wrapped).to.have.length(3);
    for (const file of await filesBelow(path(custodian(2)))) {
      expect(shownIn(await readFile(file), wrapped), file).to.deep.equal([]);
    }
    // The officers' copies are sealed to a key that nobody has.
    const copies = (await filesBelow(path(custodian(1)))).filter((file) => file.includes('.recovery.'));
    expect(copies).to.have.length(1);
    for (const file of copies) expect(shownIn(await readFile(file), secrets)).to.deep.equal([]);
  });

  it('are in files of mode 0600 and directories of mode 0700, beside which only public files are looser', async () => {
    const publicFiles = /^(policy\.json|fleet\.json|roster\.tgo)$/;
    for (const top of ['fleet', 'shares']) {
      for (const entry of await readdir(path(top), { recursive: true, withFileTypes: true })) {
        const mode = (await stat(join(entry.parentPath, entry.name))).mode & 0o777;
        const where = join(entry.parentPath, entry.name);
        if (entry.isDirectory()) expect(mode, where).to.equal(0o700);
        else if (!publicFiles.test(entry.name)) expect(mode, where).to.equal(0o600);
      }
    }
    expect((await stat(path('role.text.tgx'))).mode & 0o077).to.equal(0);
  });

  it('are not used where a looser mode lets others at them', async () => {
    const cases: [what: string, mode: number, code: string, find: (name: string) => boolean][] = [
      ['a key file', 0o640, 'key.permissions', (name) => name.startsWith('keys/signing.')],
      ['a key file', 0o604, 'key.permissions', (name) => name.startsWith('keys/signing.')],
      ['the key store', 0o640, 'storage.permissions', (name) => name === 'keystore.sqlite'],
      ['the ledger', 0o606, 'storage.permissions', (name) => name === 'ledger.sqlite'],
      ['the pin', 0o660, 'storage.permissions', (name) => name === 'roster-pin.sqlite'],
      ['the directory of keys', 0o770, 'storage.permissions', (name) => name === 'keys'],
      ['the directory itself', 0o777, 'storage.permissions', (name) => name === ''],
    ];
    for (const [what, mode, code, find] of cases) {
      const directory = join(await temporaryDirectory(), 'role');
      await cp(path(custodian(3)), directory, { recursive: true });
      const names = ['', ...(await readdir(directory, { recursive: true }))].filter(find);
      expect(names, what).to.have.length(1);
      await chmod(join(directory, names[0] as string), mode);
      const error = await expectRefusal(code, async () => {
        const { custodian, close } = await openCustodian(directory);
        await custodian.signing.sign('ed25519', bytes32('something to sign')).finally(close);
      });
      expect(error.message, what).to.match(/chmod [67]00/);
    }
    const share = path('shares/custodian-1.ada.share.json');
    await chmod(share, 0o640);
    await expectRefusal('break-glass.share-permissions', () => readShareFile(share));
    await chmod(share, 0o600);
    await chmod(path('custodian.passphrase'), 0o644);
    const store = await KeyStore.open(path(custodian(2)));
    await expectRefusal('wrapper.file-permissions', () => store.signing());
    store.close();
    await chmod(path('custodian.passphrase'), 0o600);
  });

  describe('in the core structures of a running program', () => {
    /** All ways in which a program, a logger or an error report may print or copy a value. */
    function prints(value: unknown): string[] {
      const texts = [
        inspect(value, {
          depth: null,
          showHidden: true,
          getters: true,
          maxArrayLength: null,
          maxStringLength: null,
        }),
        inspect(value, { depth: null, showHidden: true, customInspect: false, maxArrayLength: null }),
        String(value),
        JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? String(part) : part)) ?? '',
      ];
      try {
        texts.push(inspect(structuredClone(value), { depth: null, showHidden: true, maxArrayLength: null }));
      } catch (error) {
        // Whatever holds a function cannot be cloned.
        expect(error).to.be.instanceOf(DOMException).with.property('name', 'DataCloneError');
        texts.push(inspect(error));
      }
      return texts;
    }

    function expectHidden(what: string, value: unknown, more: readonly Secret[] = []): void {
      for (const text of prints(value)) expect(shownIn(text, [...secrets, ...more]), what).to.deep.equal([]);
    }

    it('are not in what printing, JSON or a structured clone shows of them (memory itself is not searched)', async () => {
      const client = await openRole(path(clientDirectory(1)), 'client');
      const prf = await client.store.prf();
      const kem = await client.store.kem('kem-1', 'test');
      const opened = await openCustodian(path(custodian(2)));
      const epochKey = await opened.custodian.epochKey(1, 'test');
      const wrapper = await openWrapper(newPassphraseConfig(path('custodian.passphrase')), {
        directory: cwd,
      });
      await wrapper.wrap(SecretBytes.random(32));
      expectHidden('a role', client);
      expectHidden('a key store', client.store);
      expectHidden('its vault', client.store.vault);
      expectHidden('its keys', client.store.keys());
      expectHidden('a signing key', client.signing);
      expectHidden('secrets', { prf, kem, epochKey, list: [prf] });
      expectHidden('a custodian', opened);
      expectHidden('a wrapper', wrapper);
      expectHidden('an error with secrets as its cause', new Error('test', { cause: { prf, client } }));
      await wrapper.close();
      for (const secret of [prf, kem, epochKey]) secret.wipe();
      opened.close();
      client.close();
    });

    it('are not in what they show of officers, shares and a key that break-glass unlocked', async () => {
      const directory = join(await temporaryDirectory(), 'role');
      await cp(path(custodian(3)), directory, { recursive: true });
      const store = await KeyStore.open(directory);
      const shares = await setUpRecovery(store, { officers: ['ada', 'grace'], threshold: 2 });
      const dealt = shares.map(({ officer, share }) => ({
        name: `share of ${officer}`,
        bytes: share.use((bytes) => Uint8Array.from(bytes)),
      }));
      const unlocked = await breakGlass(store, {
        ...{ key: 'kem-1', plan: bytes32('plan'), reason: 'a drill', shares },
        round: { fleet: 'fleet', policy: 'pick', cohort: 'all', round: 7 },
      });
      // The search would find it: it is the secret that was in the file.
      const seed = unlocked.use((bytes) => Uint8Array.from(bytes));
      expect(shownIn(inspect(seed, { maxArrayLength: null }), secrets)).to.have.length(1);
      expectHidden('shares', shares, dealt);
      expectHidden('the unlocked key', { unlocked, store }, dealt);
      const refused = await expectRefusal('break-glass.too-few-shares', () =>
        breakGlass(store, {
          ...{ key: 'kem-1', plan: bytes32('plan'), reason: 'a drill', shares: shares.slice(1) },
          round: { fleet: 'fleet', policy: 'pick', cohort: 'all', round: 8 },
        }),
      );
      expectHidden('an error', refused, dealt);
      unlocked.wipe();
      store.close();
    });
  });
});
