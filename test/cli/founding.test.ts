import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { documentOf, type Ended, tensorguardEach } from './support/command.js';
import { adapterDirectory, writeSmallAdapters } from './support/small-round.js';
import { type Refusal, refuseAllUntouched } from './support/snapshot.js';

const ROBOTS = [1, 2, 3].map((number) => `robot-${number}`);
const CUSTODIANS = ['key-b', 'key-a', 'key-c'];
/** In the order in which the owner is given them. */
const MEMBERS = [...CUSTODIANS, ...ROBOTS, 'sum', 'planning/coordinator'];
const POLICY = { preset: 'balanced', encryption: { custodians: 3, custodianThreshold: 2 } };
const OWNER = ['--owner', 'fleet/owner'];

const enrolmentOf = (member: string): string => `${member}/enrolment.tge`;
const founding = (directory: string, members: readonly string[], ...more: string[]): string[] => [
  ...['fleet', 'init', directory, '--name', 'acme', '--params', 'lwe-128'],
  ...['--members', ...members.map(enrolmentOf), ...more],
];

describe('a fleet whose keys are all made where they live', function () {
  this.timeout(120_000);

  let cwd = '';
  let ownerKeyId = '';
  /** What commands said, by name. */
  const said: Record<string, Record<string, unknown>> = {};
  const stderrOf: Record<string, string> = {};

  /** Runs commands that must all succeed, in one process. */
  const run = async (commands: Readonly<Record<string, readonly string[]>>): Promise<void> => {
    const all = await tensorguardEach(
      Object.values(commands).map((args) => [...args, '--json']),
      { cwd },
    );
    for (const [i, [name, args]] of Object.entries(commands).entries()) {
      const ended = all[i] as Ended;
      expect(ended.exitCode, `${args.join(' ')}\n${ended.stdout}${ended.stderr}`).to.equal(0);
      said[name] = documentOf(ended);
      stderrOf[name] = ended.stderr;
    }
  };

  before(async () => {
    cwd = await temporaryDirectory();
    await mkdir(join(cwd, 'planning'));
    await writeSmallAdapters(cwd);
    await writeFile(join(cwd, 'policy.json'), JSON.stringify(POLICY));
    await writeFile(join(cwd, 'passphrase'), 'of the owner alone', { mode: 0o600 });
    const wrapper = ['--wrapper', 'passphrase', '--passphrase-file', 'passphrase'];
    const more = ['--fleet', 'acme', '--policy', 'policy.json'];
    await run({
      ...Object.fromEntries(
        ROBOTS.map((id) => [`set up ${id}`, ['client', 'init', id, '--id', id, ...more]]),
      ),
      ...Object.fromEntries(
        CUSTODIANS.map((id) => [`set up ${id}`, ['custodian', 'init', id, '--id', id, ...more]]),
      ),
      'set up sum': ['aggregator', 'init', 'sum', '--id', 'sum', ...more],
      'set up coordinator': ['coordinator', 'init', 'planning/coordinator', ...more],
      found: founding('fleet', MEMBERS, '--threshold', '2', ...wrapper),
    });
    ownerKeyId = said['found']?.['ownerKeyId'] as string;
  });

  it('is founded with every member as it was set up, and makes the owner alone, wrapped', async () => {
    const ids = [...CUSTODIANS, ...ROBOTS, 'sum', 'coordinator'];
    expect(said['found']).to.deep.include({ fleet: 'acme', clients: 3, custodians: 3, threshold: 2 });
    expect(said['found']).to.deep.include({ made: ['owner'], wrapper: 'passphrase' });
    expect(stderrOf['found']).to.equal('');
    const members = said['found']?.['members'] as { id: string; keyId: string }[];
    expect(members.map(({ id }) => id)).to.deep.equal(ids);
    for (const { id, keyId } of members) expect(keyId, id).to.equal(said[`set up ${id}`]?.['keyId']);
    expect(await readdir(join(cwd, 'fleet'))).to.have.members(['fleet.json', 'roster.tgo', 'owner']);
    expect(JSON.parse(await readFile(join(cwd, 'robot-1', 'policy.json'), 'utf8'))).to.deep.equal(POLICY);
    const own = JSON.parse(await readFile(join(cwd, 'fleet', 'owner', 'policy.json'), 'utf8')) as object;
    expect(own).to.deep.equal(POLICY);
  });

  it('goes through a round', async () => {
    // What the coordinator's machine is handed beside the roster: names and defaults.
    await copyFile(join(cwd, 'fleet', 'fleet.json'), join(cwd, 'planning', 'fleet.json'));
    await run({
      ...Object.fromEntries(
        MEMBERS.map((member) => [
          `join ${member}`,
          ['fleet', 'join', member, '--roster', 'fleet/roster.tgo', '--owner-key-id', ownerKeyId],
        ]),
      ),
      plan: ['plan', '--fleet', 'planning', '--like', 'adapters/start', '--out', 'R.tgp'],
      ...Object.fromEntries(
        ROBOTS.map((id, i) => [
          `seal ${id}`,
          ['seal', adapterDirectory(i + 1), '--plan', 'R.tgp', '--client', id, '--out', `updates/${id}.tgu`],
        ]),
      ),
      aggregate: ['aggregate', 'updates', '--plan', 'R.tgp', '--aggregator', 'sum', '--out', 'A.tga'],
      ...Object.fromEntries(
        CUSTODIANS.slice(1).map((id) => [
          `answer ${id}`,
          ['custodian', 'answer', 'A.tga', '--plan', 'R.tgp', '--custodian', id, '--out', `${id}.tgs`],
        ]),
      ),
      open: [
        ...['open', 'A.tga', '--plan', 'R.tgp', ...OWNER, '--answers', 'key-a.tgs', 'key-c.tgs'],
        ...['--out', 'average'],
      ],
      close: ['close', 'A.tga', '--plan', 'R.tgp', ...OWNER, '--out', 'R.tgc'],
      release: [
        ...['release', 'create', 'average', ...OWNER, '--plan', 'R.tgp'],
        ...['--out', 'average.tgr'],
      ],
    });
    for (const member of MEMBERS) {
      expect(stderrOf[`join ${member}`], member).to.equal('');
      expect(said[`join ${member}`]?.['standing']).to.equal(ROBOTS.includes(member) ? 'active' : 'listed');
    }
    expect(said['open']).to.deep.include({ contributors: 3, answers: 2 });
    expect(said['close']?.['opened']).to.have.length(3);
  });

  it('takes another aggregator and another coordinator later', async () => {
    const more = ['--fleet', 'acme', '--owner-key-id', ownerKeyId];
    await run({
      aggregator: ['aggregator', 'init', 'sum-2', '--id', 'sum-2', ...more, '--preset', 'conservative'],
      coordinator: ['coordinator', 'init', 'planning-2', ...more],
      enrol: [
        ...['fleet', 'enroll', 'sum-2/enrolment.tge', 'planning-2/enrolment.tge', '--replace', ...OWNER],
        ...['--out', 'roster-2.tgo'],
      ],
      ...Object.fromEntries(
        ['sum-2', 'planning-2', 'planning/coordinator'].map((member) => [
          `join ${member}`,
          ['fleet', 'join', member, '--roster', 'roster-2.tgo'],
        ]),
      ),
    });
    expect(said['join sum-2']).to.include({ version: 2, standing: 'listed' });
    expect(said['join planning-2']).to.include({ standing: 'listed' });
    expect(said['join planning/coordinator']).to.include({ standing: 'other-keys' });
    const written = JSON.parse(await readFile(join(cwd, 'sum-2', 'policy.json'), 'utf8')) as object;
    expect(written).to.deep.equal({ preset: 'conservative' });
    expect(await readdir(join(cwd, 'planning-2'))).to.not.include('policy.json');
  });

  it('is refused where its members make no fleet, and leaves nothing of it', async () => {
    const init = (role: string, directory: string, ...more: string[]): string[] => [
      ...[role, 'init', directory, '--fleet', 'acme', ...more],
    ];
    await run({
      late: init('custodian', 'late', '--id', 'late', '--epoch', '2'),
      twin: init('client', 'twin', '--id', 'robot-1'),
      foreign: ['client', 'init', 'foreign', '--id', 'foreign', '--fleet', 'emca'],
      told: init('client', 'told', '--id', 'told', '--owner-key-id', ownerKeyId),
    });
    const two = ['--threshold', '2'];
    const usage = { exitCode: 2, code: 'usage' } as const;
    const cases: Refusal[] = [
      {
        ...{ what: 'custodians of two epochs', exitCode: 1, code: 'enrolment.wrong-epoch' },
        args: founding('new', [...MEMBERS, 'late'], ...two),
      },
      {
        ...{ what: 'an enrolment of another fleet', exitCode: 1, code: 'roster.other-fleet' },
        args: founding('new', [...MEMBERS, 'foreign'], ...two),
      },
      {
        ...{ what: 'two of one id', exitCode: 1, code: 'enrolment.listed-twice' },
        args: founding('new', [...MEMBERS, 'twin'], ...two),
      },
      {
        ...{ what: 'a machine of another owner', exitCode: 1, code: 'enrolment.other-owner' },
        args: founding('new', [...MEMBERS, 'told'], ...two),
      },
      {
        ...{
          what: 'a machine without a key that is required',
          exitCode: 1,
          code: 'enrolment.algorithm-missing',
        },
        args: founding('new', MEMBERS, ...two, '--post-quantum-signatures'),
      },
      {
        ...{ what: 'a threshold above the custodians', exitCode: 2, code: 'usage.threshold' },
        args: founding('new', MEMBERS, '--threshold', '4'),
      },
      {
        ...{ what: 'no custodian', exitCode: 2, code: 'usage.threshold' },
        args: founding('new', ROBOTS, '--threshold', '1'),
      },
      {
        ...{ what: 'a directory with something in it', exitCode: 1, code: 'fleet.directory-not-empty' },
        args: founding('fleet', MEMBERS, ...two),
      },
      {
        ...{ what: 'a wrapper without its file', exitCode: 2, code: 'usage.wrapper-options' },
        args: founding('new', MEMBERS, ...two, '--wrapper', 'passphrase'),
      },
      { what: 'no threshold', args: founding('new', MEMBERS), ...usage },
      { what: 'members and clients', args: founding('new', MEMBERS, ...two, '--clients', '3'), ...usage },
      {
        what: 'members and custodians',
        args: founding('new', MEMBERS, ...two, '--custodians', '3'),
        ...usage,
      },
      { what: 'neither', args: ['fleet', 'init', 'new', ...two], ...usage },
      {
        ...{ what: 'a wrapper of a fleet to try out', ...usage },
        args: ['fleet', 'init', 'new', '--clients', '3', '--wrapper', 'passphrase', '--passphrase-file', 'p'],
      },
      {
        what: 'a name that is none',
        args: ['fleet', 'init', 'new', '--clients', '3', '--name', '../x'],
        ...usage,
      },
      {
        ...{ what: 'a policy and a preset', ...usage },
        args: init('client', 'new', '--id', 'new', '--policy', 'policy.json', '--preset', 'conservative'),
      },
      {
        ...{ what: 'a policy that is none', exitCode: 1, code: 'policy.file-type' },
        args: init('client', 'new', '--id', 'new', '--policy', 'passphrase'),
      },
      { what: 'an aggregator without an id', args: init('aggregator', 'new'), ...usage },
      { what: 'a coordinator with one', args: init('coordinator', 'new', '--id', 'new'), ...usage },
    ];
    await refuseAllUntouched(cases, { cwd });
  });
});
