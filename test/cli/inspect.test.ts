import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { succeed, tensorguard } from './support/command.js';
import { copyOfSmallRound, smallRound, updateFile } from './support/small-round.js';
import { refuseAllUntouched, refuseUntouched, snapshot } from './support/snapshot.js';

const KINDS = [
  ['roster', 'fleet/roster.tgo', 'the owner', []],
  ['plan', 'R.tgp', 'the coordinator', []],
  ['update', updateFile(2), 'client "client-02"', ['ciphertext', 'shares']],
  ['aggregate', 'A.tga', 'aggregator "aggregator"', ['ciphertext', 'envelopes', 'shares']],
  ['answer', 'S3.tgs', 'custodian "custodian-3"', ['sealed']],
  ['close', 'R.tgc', 'the owner', []],
] as const;

describe('inspect', function () {
  this.timeout(60_000);

  for (const [kind, file, signer, sections] of KINDS) {
    it(`shows a file of kind ${kind}, and verifies it with the roster`, async () => {
      const { directory: cwd } = await smallRound();
      const before = await snapshot(cwd);
      const { document, stderr } = await succeed(['inspect', file, '--roster', 'fleet/roster.tgo'], { cwd });
      expect(stderr).to.equal('');
      expect(document).to.include({ kind, signaturesVerified: true, signedBy: signer, version: 1 });
      expect(document['fingerprint']).to.match(/^[0-9a-f]{64}$/);
      expect(document['sizeBytes']).to.equal((await readFile(join(cwd, file))).length);
      expect((document['sections'] as { name: string }[]).map(({ name }) => name)).to.deep.equal([
        ...sections,
      ]);
      expect(document['body']).to.be.an('object').with.property('fleet', 'fleet');
      expect(await snapshot(cwd)).to.deep.equal(before);
    });
  }

  it('says that signatures were not verified where no roster was given', async () => {
    const { directory: cwd } = await smallRound();
    const { stdout, exitCode } = await tensorguard(['inspect', 'R.tgp'], { cwd });
    expect(exitCode).to.equal(0);
    expect(stdout).to.include('not verified: pass --roster FILE');
    const { document } = await succeed(['inspect', 'R.tgp'], { cwd });
    expect(document['signaturesVerified']).to.equal(false);
    expect(document).not.to.have.property('signedBy');
  });

  it('refuses what the roster’s keys did not sign', async () => {
    const cwd = await copyOfSmallRound();
    await succeed(['fleet', 'init', 'others', '--clients', '3', '--custodians', '1', '--threshold', '1'], {
      cwd,
    });
    await refuseUntouched(
      ['inspect', 'R.tgp', '--roster', 'others/roster.tgo'],
      { cwd },
      { exitCode: 1, code: 'inspect.unknown-signer' },
    );
  });

  it('refuses a changed byte, a file that was cut, another file, none', async () => {
    const cwd = await copyOfSmallRound();
    const bytes = await readFile(join(cwd, 'A.tga'));
    await writeFile(join(cwd, 'cut.tga'), bytes.subarray(0, 1000));
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
    await writeFile(join(cwd, 'changed.tga'), bytes);
    const cases = [
      ['changed.tga', 'container.digest-mismatch'],
      ['cut.tga', 'container.truncated'],
      ['adapters/start/adapter_config.json', 'container.bad-magic'],
      ['nowhere.tga', 'container.unreadable'],
    ] as const;
    await refuseAllUntouched(
      cases.map(([file, code]) => ({ what: file, args: ['inspect', file], exitCode: 1, code })),
      { cwd },
    );
  });
});
