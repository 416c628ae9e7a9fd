import { cp, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { documentOf, type Ended, tensorguardEach } from './support/command.js';
import { type Refusal, refuseAllUntouched } from './support/snapshot.js';

const CUSTODIAN = 'fleet/custodians/custodian-1';
const role = (directory = CUSTODIAN): string[] => ['--role', directory];
const reason = ['--reason', 'a drill'];

interface KeyDocument {
  readonly name: string;
  readonly purpose: string;
  readonly epoch: number | null;
  readonly state: string;
  readonly wrapper: string;
  readonly recoverable: boolean;
}

/** The keys that `list` and `status` print. */
function keysIn(document: Record<string, unknown> | undefined): KeyDocument[] {
  expect(document?.['keys']).to.be.an('array');
  return document?.['keys'] as KeyDocument[];
}

describe('keys', function () {
  this.timeout(60_000);

  let made = '';
  let cwd = '';

  before(async () => {
    made = await temporaryDirectory();
    const init = ['fleet', 'init', 'fleet', '--clients', '1', '--custodians', '2', '--threshold', '2'];
    const [ended] = await tensorguardEach([[...init, '--params', 'lwe-128']], { cwd: made });
    expect(ended?.exitCode, ended?.stderr).to.equal(0);
  });
  beforeEach(async () => {
    cwd = await temporaryDirectory();
    await cp(made, cwd, { recursive: true });
  });

  const each = (commands: readonly (readonly string[])[]): Promise<Ended[]> =>
    tensorguardEach(
      commands.map((args) => [...args, '--json']),
      { cwd },
    );

  async function run(...commands: readonly (readonly string[])[]): Promise<Record<string, unknown>[]> {
    return (await each(commands)).map((ended, i) => {
      expect(ended.exitCode, `${commands[i]?.join(' ')}\n${ended.stdout}${ended.stderr}`).to.equal(0);
      return documentOf(ended);
    });
  }

  /** Commands that are refused, and leave on the disk nothing but what the trail says of it. */
  const refuseAll = (cases: readonly Refusal[]): Promise<string[]> => refuseAllUntouched(cases, { cwd });

  async function stateOf(name: string, directory = CUSTODIAN): Promise<string | undefined> {
    const [document] = await run(['keys', 'list', ...role(directory)]);
    return keysIn(document).find((key) => key.name === name)?.state;
  }

  it('list names states, epochs and wrappers, for people and for scripts', async () => {
    const [document] = await run(['keys', 'list', ...role()]);
    expect(document).to.include({ role: 'custodian', id: 'custodian-1', fleet: 'fleet' });
    const keys = document?.['keys'] as (KeyDocument & { publicKeyDigest: string | null; created: string })[];
    expect(keys).to.have.length(2);
    expect(keys[0]).to.deep.include({
      name: 'kem-1',
      purpose: 'kem',
      epoch: 1,
      state: 'active',
      recoverable: false,
    });
    expect(keys[0]?.publicKeyDigest).to.match(/^[0-9a-f]{64}$/);
    expect(keys[1]).to.deep.include({ name: 'signing', epoch: null, publicKeyDigest: null });
    const [lines] = await tensorguardEach([['keys', 'list', ...role()]], { cwd });
    expect(lines?.stdout).to.match(/^kem-1 +active .*\nsigning +active .*\n$/);
  });

  it('status names what needs attention: rotation, trail, keys in the clear', async () => {
    const [document] = await run(['keys', 'status', ...role()]);
    expect(document).to.deep.include({ breakGlass: [], epochFloor: 0 });
    expect(document?.['rotation']).to.deep.include({ key: 'kem-1', isDue: false, pending: false });
    expect(document?.['audit']).to.deep.include({ bad: null });
    const [aggregator] = await run(['keys', 'status', ...role('fleet/aggregator')]);
    expect(aggregator).not.to.have.property('rotation');
    const [lines] = await tensorguardEach([['keys', 'status', ...role()]], { cwd });
    expect(lines?.stdout).to.include('Rotation of kem-1 is due').and.to.include('Keys rest unwrapped');
  });

  it('moves a key through its states, each with an entry, and refuses what is no way between them', async () => {
    const [suspended] = await run(['keys', 'suspend', 'kem-1', ...role(), ...reason]);
    expect(suspended).to.deep.equal({ key: 'kem-1', state: 'suspended' });
    await run(
      ['keys', 'activate', 'kem-1', ...role(), ...reason],
      ['keys', 'deactivate', 'kem-1', ...role(), ...reason],
    );
    await refuseAll([
      {
        what: 'a deactivated key',
        args: ['keys', 'activate', 'kem-1', ...role(), ...reason],
        exitCode: 1,
        code: 'key.bad-transition',
      },
      {
        what: 'no key of it',
        args: ['keys', 'suspend', 'kem-9', ...role(), ...reason],
        exitCode: 1,
        code: 'key.unknown',
      },
      {
        what: 'no reason',
        args: ['keys', 'suspend', 'kem-1', ...role()],
        exitCode: 2,
        code: 'usage',
      },
    ]);
    await run(['keys', 'compromise', 'kem-1', ...role(), ...reason]);
    const [shown] = await run(['keys', 'audit', 'show', ...role(), '--after', '3']);
    const entries = shown?.['entries'] as { kind: string; detail: unknown }[];
    const moved = entries.filter(({ kind }) => kind !== 'unwrap' && kind !== 'roster');
    expect(moved.map(({ kind }) => kind)).to.deep.equal(['suspend', 'activate', 'deactivate', 'compromise']);
    expect(moved[0]?.detail).to.deep.equal({ reason: 'a drill' });
  });

  it('destroys by hand nothing that rounds may need, unless it is said twice', async () => {
    await run(['keys', 'suspend', 'kem-1', ...role('fleet/custodians/custodian-2'), ...reason]);
    const destroy = (name: string, directory?: string): string[] => [
      ...['keys', 'destroy', name, ...role(directory), ...reason],
    ];
    const inUse = { exitCode: 1, code: 'key.in-use' } as const;
    await refuseAll([
      { what: 'an active KEM key', args: destroy('kem-1'), ...inUse },
      { what: 'a suspended one', args: destroy('kem-1', 'fleet/custodians/custodian-2'), ...inUse },
      { what: 'a signing key', args: destroy('signing'), ...inUse },
      { what: "a client's PRF key", args: destroy('prf', 'fleet/clients/client-01'), ...inUse },
      {
        what: 'no key of it, forced',
        args: [...destroy('kem-9'), '--force'],
        exitCode: 1,
        code: 'key.unknown',
      },
    ]);
    await run([...destroy('kem-1'), '--force']);
    expect(await stateOf('kem-1')).to.equal('destroyed');
    expect(await readdir(join(cwd, CUSTODIAN, 'keys'))).to.have.length(1);
  });

  it('rotates when it is due and not before, once', async () => {
    const rotate = (...options: string[]): string[] => ['keys', 'rotate', ...role(), ...options];
    const before = await readdir(join(cwd, CUSTODIAN));
    const [notDue] = await run(rotate('--if-due'));
    expect(notDue).to.include({ made: false, key: 'kem-1' });
    expect(await readdir(join(cwd, CUSTODIAN))).to.have.members(before);
    const [first, again, later] = await run(rotate(), rotate(), rotate('--if-due'));
    expect(first).to.deep.include({ made: true, key: 'kem-2', epoch: 2, state: 'pre-activation' });
    // With --if-due as well: the request to enrol the one that waits is written again.
    for (const document of [again, later]) expect(document).to.deep.include({ made: false, key: 'kem-2' });
    const [inspected] = await run(['inspect', `${CUSTODIAN}/enrolment.tge`]);
    expect(inspected?.['body']).to.deep.include({ role: 'custodian', id: 'custodian-1', epoch: 2 });
    const [client] = await run(['keys', 'rotate', ...role('fleet/clients/client-01')]);
    expect(client).to.deep.include({ made: true, key: 'kem-2', state: 'active' });
  });

  it('rotates no role but those that are sealed to and enrolled, and leaves them no key', async () => {
    await refuseAll([
      {
        what: 'a role that nothing is sealed to',
        args: ['keys', 'rotate', ...role('fleet/aggregator')],
        exitCode: 1,
        code: 'key.no-kem',
      },
      {
        what: 'the owner, whose key no enrolment carries',
        args: ['keys', 'rotate', ...role('fleet/owner')],
        exitCode: 1,
        code: 'key.not-rotated',
      },
      {
        what: 'a time of no hours',
        args: ['keys', 'rotate', ...role(), '--every-hours', '0'],
        exitCode: 2,
        code: 'usage',
      },
    ]);
    expect(await stateOf('kem-2', 'fleet/owner')).to.equal(undefined);
  });

  it('rewrap leaves every key as it was where the new wrapper does not do', async () => {
    await writeFile(join(cwd, 'short'), 'short\n', { mode: 0o600 });
    await writeFile(join(cwd, 'loose'), 'correct horse battery\n', { mode: 0o644 });
    const rewrap = (...options: string[]): string[] => ['keys', 'rewrap', ...role(), ...options];
    const passphrase = (file: string): string[] =>
      rewrap('--wrapper', 'passphrase', '--passphrase-file', file);
    await refuseAll([
      { what: 'a missing file', args: passphrase('nowhere'), exitCode: 1, code: 'wrapper.file-missing' },
      { what: 'a loose mode', args: passphrase('loose'), exitCode: 1, code: 'wrapper.file-permissions' },
      { what: 'a short passphrase', args: passphrase('short'), exitCode: 1, code: 'wrapper.secret-length' },
      {
        what: 'an option of another kind',
        args: rewrap('--wrapper', 'none', '--pin-file', 'short'),
        exitCode: 2,
        code: 'usage.wrapper-options',
      },
      { what: 'no such kind', args: rewrap('--wrapper', 'paper'), exitCode: 2, code: 'usage' },
    ]);
    await writeFile(join(cwd, 'long'), 'correct horse battery\n', { mode: 0o600 });
    const [wrapped, list] = await run(passphrase('long'), ['keys', 'list', ...role()]);
    expect(wrapped?.['keys']).to.deep.equal(['kem-1', 'signing']);
    for (const { wrapper } of keysIn(list)) expect(wrapper).to.equal(wrapped?.['wrapper']);
  });

  it('takes no directory that is no role, or that is another', async () => {
    await mkdir(join(cwd, 'empty'));
    const glass = [
      'keys',
      'break-glass',
      'init',
      '--officers',
      'ada,grace',
      '--threshold',
      '2',
      '--out',
      'shares',
    ];
    await refuseAll([
      {
        what: 'an empty directory',
        args: ['keys', 'list', ...role('empty')],
        exitCode: 1,
        code: 'storage.missing',
      },
      {
        what: 'no directory',
        args: ['keys', 'list', ...role('nowhere')],
        exitCode: 1,
        code: 'storage.missing',
      },
      { what: 'no --role', args: ['keys', 'list'], exitCode: 2, code: 'usage' },
      { what: 'the group alone', args: ['keys'], exitCode: 2, code: 'usage' },
      {
        what: "an owner's keys",
        args: [...glass, ...role('fleet/owner')],
        exitCode: 1,
        code: 'key.wrong-role',
      },
    ]);
  });

  it('audit shows, exports and verifies a trail, and takes no other head', async () => {
    const [exported] = await run(['keys', 'audit', 'head', ...role(), '--out', 'head.json']);
    const [verified] = await run(['keys', 'audit', 'verify', ...role(), '--head', 'head.json']);
    expect(verified).to.deep.equal({ entries: exported?.['entries'], head: exported?.['head'], heads: 1 });
    const head = JSON.parse(await readFile(join(cwd, 'head.json'), 'utf8')) as Record<string, unknown>;
    await writeFile(join(cwd, 'broken.json'), '{');
    await writeFile(join(cwd, 'later.json'), JSON.stringify({ ...head, sequence: 99 }));
    await writeFile(join(cwd, 'more.json'), JSON.stringify({ ...head, more: 1 }));
    const verify = (file: string, directory?: string): string[] => [
      ...['keys', 'audit', 'verify', ...role(directory), '--head', file],
    ];
    const messages = await refuseAll([
      { what: 'a missing file', args: verify('nowhere.json'), exitCode: 1, code: 'audit.head-unreadable' },
      { what: 'no JSON', args: verify('broken.json'), exitCode: 1, code: 'audit.head-malformed' },
      { what: 'more than a head', args: verify('more.json'), exitCode: 1, code: 'audit.head-malformed' },
      { what: 'a changed head', args: verify('later.json'), exitCode: 1, code: 'audit.bad-entry' },
      {
        what: "another role's",
        args: verify('head.json', 'fleet/custodians/custodian-2'),
        exitCode: 1,
        code: 'audit.bad-entry',
      },
    ]);
    expect(messages[3]).to.include('signature');
    expect(messages[4]).to.include('of another id');
  });

  it('break-glass gives shares into new private files, and refuses what cannot be', async () => {
    const init = (...options: string[]): string[] => ['keys', 'break-glass', 'init', ...role(), ...options];
    const officers = ['--officers', 'ada, grace,emmy'];
    const [made] = await run(init(...officers, '--threshold', '2', '--out', 'shares'));
    expect(made).to.deep.include({ officers: ['ada', 'grace', 'emmy'], threshold: 2 });
    const files = made?.['files'] as string[];
    expect(files).to.have.length(3);
    for (const file of files) expect((await stat(join(cwd, file))).mode & 0o777).to.equal(0o600);
    expect((await stat(join(cwd, 'shares'))).mode & 0o777).to.equal(0o700);
    const close = (use: string, share: string): string[] => [
      ...['keys', 'break-glass', 'close', ...role(), '--use', use, '--share', share, '--note', 'a drill'],
    ];
    await refuseAll([
      {
        what: 'a directory with shares in it',
        args: init(...officers, '--threshold', '2', '--out', 'shares'),
        exitCode: 1,
        code: 'break-glass.directory-not-empty',
      },
      {
        what: 'other officers, to whom the present ones have not agreed',
        args: init('--officers', 'alan,kurt', '--threshold', '2', '--out', 'x'),
        exitCode: 1,
        code: 'break-glass.consent-needed',
      },
      {
        what: 'no name',
        args: init('--officers', 'ada,', '--threshold', '2', '--out', 'x'),
        exitCode: 2,
        code: 'usage',
      },
      {
        what: 'one officer',
        args: init(...officers, '--threshold', '1', '--out', 'x'),
        exitCode: 2,
        code: 'usage',
      },
      {
        what: 'no such use',
        args: close('7', files[0] as string),
        exitCode: 1,
        code: 'break-glass.unknown-use',
      },
      { what: 'no such share', args: close('7', 'nowhere'), exitCode: 1, code: 'break-glass.share-missing' },
    ]);
    const [others] = await run(
      init(
        '--officers',
        'alan,kurt',
        '--threshold',
        '2',
        '--out',
        'others',
        '--present-shares',
        ...files.slice(1),
      ),
    );
    expect(others).to.deep.include({ officers: ['alan', 'kurt'] });
    expect(await stateOf('kem-1')).to.equal('active');
  });
});
