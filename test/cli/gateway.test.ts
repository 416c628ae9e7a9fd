import { expect } from 'chai';
import { succeed, tensorguard } from './support/command.js';
import { adapterDirectory, clientDirectory, updateFile, writeSmallAdapters } from './support/small-round.js';
import { temporaryDirectory } from './support/temporary-directory.js';

const GATEWAY = 'fleet/gateways/gateway-1';

describe('a round with a gateway, through the commands', function () {
  this.timeout(120_000);

  let cwd = '';
  const plan = ['--plan', 'R.tgp'];

  before(async () => {
    cwd = await temporaryDirectory();
    await writeSmallAdapters(cwd);
    await succeed(['fleet', 'init', 'fleet', '--clients', '4', '--gateways', '1'], { cwd });
    await succeed(['plan', '--fleet', 'fleet', '--like', 'adapters/start', '--out', 'R.tgp'], { cwd });
    for (const number of [1, 2, 3, 4]) {
      const client = ['--client', clientDirectory(number), '--out', updateFile(number)];
      await succeed(['seal', adapterDirectory(number), ...plan, ...client], { cwd });
    }
  });

  it('sums a site at the gateway, all at the aggregator, and opens with the gateway vouching for its own', async () => {
    const site = [updateFile(1), updateFile(2)];
    const { document: summed } = await succeed(
      ['gateway', 'sum', ...site, ...plan, '--gateway', GATEWAY, '--out', 'sums/site.tgg'],
      { cwd },
    );
    expect(summed).to.deep.include({ written: 'sums/site.tgg', accepted: 2, refused: [] });
    const inspected = await succeed(['inspect', 'sums/site.tgg', '--roster', 'fleet/roster.tgo'], { cwd });
    expect(inspected.document).to.include({ kind: 'partial-sum', signedBy: 'gateway "gateway-1"' });

    const rest = [updateFile(3), updateFile(4)];
    const { document: aggregate } = await succeed(
      ['aggregate', ...rest, 'sums', ...plan, '--aggregator', 'fleet/aggregator', '--out', 'A.tga'],
      { cwd },
    );
    expect(aggregate).to.deep.include({ accepted: 4, refused: [] });
    for (const index of [1, 2, 3]) {
      const custodian = ['--custodian', `fleet/custodians/custodian-${index}`, '--out', `${index}.tgs`];
      await succeed(['custodian', 'answer', 'A.tga', ...plan, ...custodian], { cwd });
    }
    const open = ['open', 'A.tga', ...plan, '--owner', 'fleet/owner', '--answers', '1.tgs', '2.tgs', '3.tgs'];
    const verify = ['--verify', 'sums/site.tgg', ...rest];
    const { document: opened } = await succeed([...open, ...verify, '--out', 'average'], { cwd });
    expect(opened).to.deep.include({ contributors: 4, verified: true, gateways: ['gateway-1'] });
  });

  it('refuses what is no update of the round, says why, and writes nothing of nothing', async () => {
    const { exitCode, stderr } = await tensorguard(
      ['gateway', 'sum', 'R.tgp', ...plan, '--gateway', GATEWAY, '--out', 'none.tgg'],
      { cwd },
    );
    expect(exitCode).to.equal(1);
    expect(stderr).to.include('partial-sum.empty').and.to.include('container.wrong-kind');
  });

  it('leaves out a withdrawn gateway’s partial sums, of rounds that were planned before as well', async () => {
    const withdraw = ['fleet', 'revoke', 'gateway-1', '--gateway', '--owner', 'fleet/owner'];
    await succeed([...withdraw, '--out', 'next.tgo'], { cwd });
    await succeed(['fleet', 'join', 'fleet/aggregator', '--roster', 'next.tgo'], { cwd });
    const others = [2, 3, 4].map(updateFile);
    const { document } = await succeed(
      ['aggregate', 'sums', ...others, ...plan, '--aggregator', 'fleet/aggregator', '--out', 'B.tga'],
      { cwd },
    );
    expect(document['accepted']).to.equal(3);
    expect((document['refused'] as { code: string }[]).map(({ code }) => code)).to.deep.equal([
      'roster.unknown-gateway',
    ]);
  });
});
