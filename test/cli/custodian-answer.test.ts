import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { succeed } from './support/command.js';
import { copyOfSmallRound, SEALED, smallRound, updateFile } from './support/small-round.js';
import { refuseUntouched } from './support/snapshot.js';

const answer = (aggregate: string, index: number, out: string, plan = 'R.tgp'): string[] => [
  ...['custodian', 'answer', aggregate, '--plan', plan],
  ...['--custodian', `fleet/custodians/custodian-${index}`, '--out', out],
];

describe('custodian answer', function () {
  this.timeout(60_000);

  let cwd = '';
  before(async () => {
    cwd = await copyOfSmallRound();
    await succeed(
      [
        ...['aggregate', updateFile(1), updateFile(2), updateFile(3), '--plan', 'R.tgp'],
        ...['--aggregator', 'fleet/aggregator', '--out', 'other-set.tga'],
      ],
      { cwd },
    );
  });

  it('says for how many it answered', async () => {
    const { document, stderr } = (await smallRound()).ended['custodian answer'] as Awaited<
      ReturnType<typeof succeed>
    >;
    expect(document).to.deep.equal({
      written: 'S1.tgs',
      custodian: 'custodian-1',
      contributors: SEALED,
      replayed: false,
    });
    expect(stderr).to.equal('');
  });

  it('gives the answer of before, byte for byte, when asked again', async () => {
    const { document } = await succeed(answer('A.tga', 1, 'again.tgs'), { cwd });
    expect(document['replayed']).to.equal(true);
    const [first, again] = await Promise.all(
      ['S1.tgs', 'again.tgs'].map((name) => readFile(join(cwd, name))),
    );
    expect(again?.equals(first as Buffer)).to.equal(true);
  });

  it('refuses a second set of the round, for ever', async () => {
    await refuseUntouched(
      answer('other-set.tga', 1, 'S.tgs'),
      { cwd },
      { exitCode: 1, code: 'ledger.round-already-answered' },
    );
  });

  it('refuses a plan that the aggregate was not made under', async () => {
    await succeed(['plan', '--fleet', 'fleet', '--like', 'adapters/start', '--out', 'R-again.tgp'], { cwd });
    await refuseUntouched(
      answer('A.tga', 4, 'S.tgs', 'R-again.tgp'),
      { cwd },
      { exitCode: 1, code: 'aggregate.wrong-plan' },
    );
  });

  it('refuses an aggregate with a changed byte, and claims nothing', async () => {
    const bytes = await readFile(join(cwd, 'A.tga'));
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
    await writeFile(join(cwd, 'changed.tga'), bytes);
    await refuseUntouched(
      answer('changed.tga', 4, 'S.tgs'),
      { cwd },
      { exitCode: 1, code: 'container.digest-mismatch' },
    );
    // Had it been claimed, this other set would be refused.
    const { document } = await succeed(answer('other-set.tga', 4, 'S4.tgs'), { cwd });
    expect(document).to.include({ contributors: 3, replayed: false });
  });

  it('refuses the directory of another role', async () => {
    await refuseUntouched(
      ['custodian', 'answer', 'A.tga', '--plan', 'R.tgp', '--custodian', 'fleet/owner', '--out', 'S.tgs'],
      { cwd },
      { exitCode: 1, code: 'key.wrong-role' },
    );
  });
});
