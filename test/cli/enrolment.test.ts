import { mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { documentOf, type Ended, tensorguardEach } from './support/command.js';
import { adapterDirectory, clientDirectory, writeSmallAdapters } from './support/small-round.js';
import { type Refusal, refuseAllUntouched } from './support/snapshot.js';

const ROBOT = 'robots/robot-09';
const OWNER = ['--owner', 'fleet/owner'];
const CUSTODIANS = [1, 2, 3, 4].map((index) => `fleet/custodians/custodian-${index}`);

const joinArguments = (directory: string, roster: string): string[] => [
  'fleet',
  'join',
  directory,
  '--roster',
  roster,
];
const seal = (adapter: string, client: string, plan: string, out: string): string[] => [
  ...['seal', adapter, '--plan', plan, '--client', client, '--out', out],
];

describe('robot nine', function () {
  this.timeout(120_000);

  let cwd = '';
  let ownerKeyId = '';
  /** What the robot's and the owner's commands said, by name. */
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
  const refuseAll = (cases: readonly Refusal[]): Promise<string[]> => refuseAllUntouched(cases, { cwd });
  const everyone = (...members: string[]): string[] => [
    ...['fleet/coordinator', 'fleet/aggregator', ...CUSTODIANS],
    ...members,
  ];
  const joining = (roster: string, members: readonly string[]): Record<string, string[]> =>
    Object.fromEntries(members.map((member) => [`join ${member}`, joinArguments(member, roster)]));

  before(async () => {
    cwd = await temporaryDirectory();
    await mkdir(join(cwd, 'robots'));
    await writeSmallAdapters(cwd);
    await run({ init: ['fleet', 'init', 'fleet', '--clients', '8', '--params', 'lwe-128'] });
    ownerKeyId = said['init']?.['ownerKeyId'] as string;
    await run({
      'set up': [
        ...['client', 'init', ROBOT, '--id', 'robot-09', '--fleet', 'fleet', '--owner-key-id', ownerKeyId],
      ],
      enrol: ['fleet', 'enroll', `${ROBOT}/enrolment.tge`, ...OWNER, '--out', 'roster-2.tgo'],
      ...joining('roster-2.tgo', everyone(ROBOT, clientDirectory(1), clientDirectory(2))),
      plan: ['plan', '--fleet', 'fleet', '--like', 'adapters/start', '--out', 'R1.tgp'],
      'seal 1': seal(adapterDirectory(1), clientDirectory(1), 'R1.tgp', 'updates/1.tgu'),
      'seal 2': seal(adapterDirectory(2), clientDirectory(2), 'R1.tgp', 'updates/2.tgu'),
      'seal 9': seal(adapterDirectory(3), ROBOT, 'R1.tgp', 'updates/9.tgu'),
      aggregate: [
        ...[
          'aggregate',
          'updates',
          '--plan',
          'R1.tgp',
          '--aggregator',
          'fleet/aggregator',
          '--out',
          'A1.tga',
        ],
      ],
    });
  });

  it('is set up where it lives, with an enrolment that holds nothing secret and files that nobody else reads', async () => {
    expect(said['set up']).to.include({ role: 'client', id: 'robot-09', wrapper: 'none' });
    expect(stderrOf['set up']).to.match(/^Warning: the private keys rest unwrapped/);
    expect((await stat(join(cwd, ROBOT))).mode & 0o777).to.equal(0o700);
    await run({ inspect: ['inspect', `${ROBOT}/enrolment.tge`] });
    const { body } = said['inspect'] as { body: Record<string, unknown> };
    expect(Object.keys(body)).to.have.members(['fleet', 'role', 'id', 'keys', 'kem', 'ownerKeyId']);
    expect(body['ownerKeyId']).to.equal(ownerKeyId);
  });

  it('joins a running fleet of eight and takes part in a round', async () => {
    expect(said['enrol']).to.deep.include({
      version: 2,
      changed: true,
      enrolled: [{ role: 'client', id: 'robot-09', keyId: said['set up']?.['keyId'] }],
    });
    expect(said[`join ${ROBOT}`]).to.deep.include({ version: 2, standing: 'active', ownerKeyId });
    expect(stderrOf[`join ${ROBOT}`]).to.equal('');
    await run({
      ...Object.fromEntries(
        CUSTODIANS.slice(0, 3).map((directory, i) => [
          `answer ${i}`,
          [
            ...['custodian', 'answer', 'A1.tga', '--plan', 'R1.tgp', '--custodian', directory],
            ...['--out', `S${i}.tgs`],
          ],
        ]),
      ),
      open: [
        ...['open', 'A1.tga', '--plan', 'R1.tgp', ...OWNER, '--answers', 'S0.tgs', 'S1.tgs', 'S2.tgs'],
        ...['--out', 'average'],
      ],
      inspect: ['inspect', 'A1.tga'],
    });
    const { body } = said['inspect'] as { body: { accepted: { client: string }[] } };
    const { accepted } = body;
    expect(accepted.map(({ client }) => client)).to.have.members(['client-01', 'client-02', 'robot-09']);
  });

  it('is enrolled again without another roster', async () => {
    await run({ again: ['fleet', 'enroll', `${ROBOT}/enrolment.tge`, ...OWNER, '--out', 'again.tgo'] });
    expect(said['again']).to.deep.include({ version: 2, changed: false });
    expect(await readFile(join(cwd, 'again.tgo'))).to.deep.equal(await readFile(join(cwd, 'roster-2.tgo')));
  });

  it('is refused from the moment that it is suspended, and takes part again when it is reinstated', async () => {
    await run({
      suspend: ['fleet', 'revoke', 'robot-09', '--suspend', ...OWNER, '--out', 'roster-3.tgo'],
      ...joining('roster-3.tgo', everyone(ROBOT)),
      plan: ['plan', '--fleet', 'fleet', '--like', 'adapters/start', '--round', '2', '--out', 'R2.tgp'],
    });
    expect(said['suspend']).to.deep.include({ version: 3, client: 'robot-09', status: 'suspended' });
    expect(said[`join ${ROBOT}`]).to.include({ standing: 'suspended' });
    await refuseAll([
      {
        ...{ what: 'sealing while suspended', exitCode: 1, code: 'roster.client-suspended' },
        args: seal(adapterDirectory(4), ROBOT, 'R2.tgp', 'late.tgu'),
      },
      {
        ...{ what: 'an older roster', exitCode: 1, code: 'roster.older' },
        args: joinArguments(ROBOT, 'roster-2.tgo'),
      },
    ]);
    await run({
      reinstate: ['fleet', 'revoke', 'robot-09', '--reinstate', ...OWNER, '--out', 'roster-4.tgo'],
      ...joining('roster-4.tgo', everyone(ROBOT)),
      plan: ['plan', '--fleet', 'fleet', '--like', 'adapters/start', '--round', '3', '--out', 'R3.tgp'],
      seal: seal(adapterDirectory(4), ROBOT, 'R3.tgp', 'robot-round-3.tgu'),
    });
    expect(said[`join ${ROBOT}`]).to.include({ standing: 'active' });
  });

  it('is revoked for good: what it sealed before stays verifiable, and it never comes back', async () => {
    await run({
      revoke: ['fleet', 'revoke', 'robot-09', ...OWNER, '--out', 'roster-5.tgo'],
      ...joining('roster-5.tgo', everyone(ROBOT)),
      verify: ['inspect', 'updates/9.tgu', '--roster', 'roster-5.tgo'],
    });
    expect(said['verify']).to.include({ signaturesVerified: true, signedBy: 'client "robot-09"' });
    await refuseAll([
      {
        ...{ what: 'reinstating it', exitCode: 1, code: 'roster.status-final' },
        args: ['fleet', 'revoke', 'robot-09', '--reinstate', ...OWNER, '--out', 'back.tgo'],
      },
      {
        ...{ what: 'enrolling it again', exitCode: 1, code: 'enrolment.revoked' },
        args: ['fleet', 'enroll', `${ROBOT}/enrolment.tge`, '--replace', ...OWNER, '--out', 'back.tgo'],
      },
    ]);
  });
});

describe('enrolment from the command line', function () {
  this.timeout(60_000);

  let cwd = '';
  before(async () => {
    cwd = await temporaryDirectory();
    const member = ['--id', 'robot', '--fleet', 'fleet'];
    const all = await tensorguardEach(
      [
        ['fleet', 'init', 'fleet', '--clients', '3'],
        ['fleet', 'init', 'other', '--clients', '3', '--name', 'other'],
        ['client', 'init', 'robot', ...member],
      ].map((args) => [...args, '--json']),
      { cwd },
    );
    for (const ended of all) expect(ended.exitCode, ended.stdout).to.equal(0);
    const ownerKeyId = documentOf(all[0] as Ended)['ownerKeyId'] as string;
    const custodian = ['--id', 'custodian-5', '--fleet', 'fleet', '--owner-key-id', ownerKeyId];
    const [fifth] = await tensorguardEach([['custodian', 'init', 'fifth', ...custodian]], { cwd });
    expect(fifth?.exitCode, fifth?.stderr).to.equal(0);
  });

  it('warns where a roster decides whose rosters count, and where custody gets weaker', async () => {
    const [join1, enrol] = (await tensorguardEach(
      [
        ['fleet', 'join', 'robot', '--roster', 'fleet/roster.tgo', '--json'],
        ['fleet', 'enroll', 'fifth/enrolment.tge', ...OWNER, '--out', 'five.tgo', '--json'],
      ],
      { cwd },
    )) as [Ended, Ended];
    expect(documentOf(join1)).to.include({ standing: 'not-listed' });
    expect(join1.stderr).to.match(/^Warning: nobody had told this machine whose rosters count/);
    expect(documentOf(enrol)).to.include({ version: 2, changed: true });
    expect(enrol.stderr).to.match(
      /^Warning: with 3 of 5 custodians, 0 of them may lie, where 1 could before/,
    );
  });

  it('refuses what is wrong, and changes nothing', async () => {
    const init = ['client', 'init', 'new', '--id', 'new', '--fleet', 'fleet'];
    const enrol = ['fleet', 'enroll', 'robot/enrolment.tge'];
    const usage = { exitCode: 2, code: 'usage' } as const;
    const wrapper = { exitCode: 2, code: 'usage.wrapper-options' } as const;
    await refuseAllUntouched(
      [
        { what: 'no id', args: ['client', 'init', 'new', '--fleet', 'fleet'], ...usage },
        { what: 'a bad id', args: ['client', 'init', 'new', '--id', '../x', '--fleet', 'fleet'], ...usage },
        { what: 'a short key id', args: [...init, '--owner-key-id', 'abcd'], ...usage },
        { what: 'an unknown wrapper', args: [...init, '--wrapper', 'envelope'], ...usage },
        { what: 'a wrapper without its file', args: [...init, '--wrapper', 'passphrase'], ...wrapper },
        { what: 'a file without its wrapper', args: [...init, '--passphrase-file', 'p'], ...wrapper },
        {
          ...{ what: 'a wrapper that is not there', exitCode: 1, code: 'wrapper.file-missing' },
          args: [...init, '--wrapper', 'command', '--wrapper-config', 'nowhere.json'],
        },
        {
          ...{ what: 'a directory with keys', exitCode: 1, code: 'key.exists' },
          args: ['client', 'init', 'robot', '--id', 'robot', '--fleet', 'fleet'],
        },
        {
          ...{ what: 'an enrolment for another fleet', exitCode: 1, code: 'roster.other-fleet' },
          args: [...enrol, '--owner', 'other/owner', '--out', 'x.tgo'],
        },
        {
          ...{ what: 'a file that is no enrolment', exitCode: 1, code: 'container.wrong-kind' },
          args: ['fleet', 'enroll', 'fleet/roster.tgo', ...OWNER, '--out', 'x.tgo'],
        },
        {
          ...{ what: 'somebody who is not the owner', exitCode: 1, code: 'key.wrong-role' },
          args: [...enrol, '--owner', 'fleet/coordinator', '--out', 'x.tgo'],
        },
        {
          ...{ what: 'an unknown client', exitCode: 1, code: 'roster.unknown-client' },
          args: ['fleet', 'revoke', 'nobody', ...OWNER, '--out', 'x.tgo'],
        },
        {
          ...{ what: 'both of two', exitCode: 2, code: 'usage' },
          args: ['fleet', 'revoke', 'client-01', '--suspend', '--reinstate', ...OWNER, '--out', 'x.tgo'],
        },
        {
          ...{ what: "another fleet's roster", exitCode: 1, code: 'roster.other-fleet' },
          args: ['fleet', 'join', 'robot', '--roster', 'other/roster.tgo'],
        },
      ],
      { cwd },
    );
  });
});
