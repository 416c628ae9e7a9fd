import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { refuse, succeed } from './support/command.js';
import { copyOfSmallRound } from './support/small-round.js';

const CUSTODIAN = 'fleet/custodians/custodian-1';

describe('keys export and import', function () {
  this.timeout(120_000);

  let cwd = '';
  before(async () => {
    cwd = await copyOfSmallRound();
    await writeFile(join(cwd, 'passphrase'), 'correct horse battery staple\n', { mode: 0o600 });
    await succeed(
      ['keys', 'export', '--role', CUSTODIAN, '--passphrase-file', 'passphrase', '--out', 'custodian.tgx'],
      { cwd },
    );
  });

  const restore = (...more: string[]): string[] => [
    ...['keys', 'import', 'custodian.tgx', '--passphrase-file', 'passphrase', ...more],
  ];

  it('restore a custodian on another machine, which makes a new key and answers for no earlier epoch', async () => {
    const { document } = await succeed(restore('--role', 'elsewhere'), { cwd });
    expect(document).to.include({ role: 'custodian', id: 'custodian-1', epoch: 2 });
    const { document: listed } = await succeed(['keys', 'list', '--role', 'elsewhere'], { cwd });
    const states = (listed['keys'] as { name: string; state: string }[]).map(({ name, state }) => [
      name,
      state,
    ]);
    expect(states).to.deep.equal([
      ['kem-1', 'destroyed'],
      ['kem-2', 'pre-activation'],
      ['signing', 'active'],
    ]);
    await refuse(
      ['custodian', 'answer', 'A.tga', '--plan', 'R.tgp', '--custodian', 'elsewhere', '--out', 'S.tgs'],
      { cwd },
      { exitCode: 1, code: 'custodian.no-epoch-key' },
    );
    const { document: request } = await succeed(['inspect', 'elsewhere/enrolment.tge'], { cwd });
    expect(request['body']).to.include({ role: 'custodian', epoch: 2, restored: true });
  });

  it('lead back into the fleet, whose next plan names the head of the restored ledger', async () => {
    await succeed(restore('--role', 'back'), { cwd });
    for (const index of [2, 3, 4]) {
      await succeed(['keys', 'rotate', '--role', `fleet/custodians/custodian-${index}`], { cwd });
    }
    const requests = [2, 3, 4].map((index) => `fleet/custodians/custodian-${index}/enrolment.tge`);
    await succeed(
      ['fleet', 'enroll', 'back/enrolment.tge', ...requests, '--owner', 'fleet/owner', '--out', 'next.tgo'],
      { cwd },
    );
    const members = ['back', 'fleet/coordinator', ...[2, 3, 4].map((i) => `fleet/custodians/custodian-${i}`)];
    for (const member of members) await succeed(['fleet', 'join', member, '--roster', 'next.tgo'], { cwd });
    await succeed(
      ['plan', '--fleet', 'fleet', '--like', 'adapters/start', '--round', '2', '--out', 'R2.tgp'],
      { cwd },
    );
    const { document } = await succeed(['inspect', 'R2.tgp'], { cwd });
    const { document: request } = await succeed(['inspect', 'back/enrolment.tge'], { cwd });
    const heads = (document['body'] as { ledgerHeads: { custodian: string; head: string }[] }).ledgerHeads;
    expect(heads.find(({ custodian }) => custodian === 'custodian-1')?.head).to.equal(
      (request['body'] as { ledgerHead: string }).ledgerHead,
    );
    const { document: listed } = await succeed(['keys', 'list', '--role', 'back'], { cwd });
    expect(
      (listed['keys'] as { name: string; state: string }[]).find(({ name }) => name === 'kem-2')?.state,
    ).to.equal('active');
  });

  it('refuse a passphrase that others may read, another one, and an archive that was changed', async () => {
    await chmod(join(cwd, 'passphrase'), 0o640);
    const refusal = { exitCode: 1, code: 'wrapper.file-permissions' } as const;
    await refuse(restore('--role', 'nowhere'), { cwd }, refusal);
    await chmod(join(cwd, 'passphrase'), 0o600);
    await writeFile(join(cwd, 'other'), 'incorrect horse battery staple', { mode: 0o600 });
    await refuse(
      ['keys', 'import', 'custodian.tgx', '--passphrase-file', 'other', '--role', 'nowhere'],
      { cwd },
      { exitCode: 1, code: 'archive.not-opened' },
    );
    const bytes = await readFile(join(cwd, 'custodian.tgx'));
    bytes[bytes.length - 30] = (bytes[bytes.length - 30] as number) ^ 1;
    await writeFile(join(cwd, 'changed.tgx'), bytes);
    await refuse(
      ['keys', 'import', 'changed.tgx', '--passphrase-file', 'passphrase', '--role', 'nowhere'],
      { cwd },
      { exitCode: 1, code: 'archive.not-opened' },
    );
  });

  it('refuse to go back behind what the machine has answered since', async () => {
    await rm(join(cwd, 'older.tgx'), { force: true });
    const two = 'fleet/custodians/custodian-4';
    await succeed(
      ['keys', 'export', '--role', two, '--passphrase-file', 'passphrase', '--out', 'older.tgx'],
      { cwd },
    );
    await succeed(
      ['custodian', 'answer', 'A.tga', '--plan', 'R.tgp', '--custodian', two, '--out', 'S4.tgs'],
      { cwd },
    );
    await refuse(
      ['keys', 'import', 'older.tgx', '--passphrase-file', 'passphrase', '--role', two],
      { cwd },
      { exitCode: 1, code: 'import.older-trail' },
    );
  });
});
