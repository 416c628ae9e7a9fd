import { expect } from 'chai';
import { succeed } from './support/command.js';
import { copyOfSmallRound, smallRound } from './support/small-round.js';
import { refuseAllUntouched, refuseUntouched, snapshot } from './support/snapshot.js';

describe('plan', function () {
  this.timeout(60_000);

  const args = (...more: string[]): string[] => [
    'plan',
    '--fleet',
    'fleet',
    '--like',
    'adapters/start',
    ...more,
  ];
  let cwd = '';
  before(async () => {
    cwd = await copyOfSmallRound();
  });

  it('prints with --explain what the plan costs, and writes nothing', async () => {
    const before = await snapshot(cwd);
    const { document, stderr } = await succeed(args('--round', '2', '--explain'), { cwd });
    expect(await snapshot(cwd)).to.deep.equal(before);
    expect(stderr).to.equal('');
    expect(document).to.include({
      written: null,
      values: 640,
      parameters: 640,
      maxClients: 5,
      quorum: 3,
      parameterSet: 'lwe-192',
      keepRatio: 1,
      epsilon: null,
      privacy: null,
      loraMode: 'average',
    });
    expect(document['segments']).to.deep.equal([
      { bits: 8, valueCount: 640, fieldBits: 11, fold: 2, wireBits: 27 },
    ]);
    const expected = document['expected'] as Record<string, number>;
    expect(expected['relativeError']).to.be.within(0.001, 0.02);
    expect(expected['unsentFraction']).to.equal(0);
    expect(document['sealedBytes']).to.equal(
      (document['ciphertextBytes'] as number) + (document['sharesBytes'] as number),
    );
  });

  it('writes nothing with --explain even where --out is given', async () => {
    const before = await snapshot(cwd);
    const { document } = await succeed(args('--round', '2', '--explain', '--out', 'E.tgp'), { cwd });
    expect(document['written']).to.equal(null);
    expect(await snapshot(cwd)).to.deep.equal(before);
  });

  it('foretells the size of an update to within its header', async () => {
    const { ended } = await smallRound();
    const planned = ended['plan']?.document['sealedBytes'] as number;
    const written = ended['seal']?.document['sizeBytes'] as number;
    expect(written)
      .to.be.above(planned)
      .and.below(planned + 4096);
  });

  it('takes fewer bits a value where it is asked to', async () => {
    const segment = async (bits: string): Promise<unknown> => {
      const { document } = await succeed(args('--bits', bits, '--max-clients', '16', '--explain'), { cwd });
      return (document['segments'] as unknown[])[0];
    };
    expect(await segment('8')).to.include({ wireBits: 17, fold: 1 });
    expect(await segment('4')).to.include({ wireBits: 21, fold: 2 });
  });

  it('refuses a quorum below the roster’s floor', async () => {
    const message = await refuseUntouched(
      args('--quorum', '2', '--out', 'P.tgp'),
      { cwd },
      { exitCode: 1, code: 'plan.outside-roster' },
    );
    expect(message).to.include('quorum 2 is below the floor of 3');
  });

  it('refuses more clients than fit, naming what would', async () => {
    const message = await refuseUntouched(
      args('--max-clients', '65536', '--out', 'P.tgp'),
      { cwd },
      { exitCode: 1, code: 'plan.does-not-fit' },
    );
    expect(message).to.match(/\d+ clients/);
  });

  it('refuses what is not there, and takes options that cannot be for usage errors', async () => {
    const plan = (fleet: string, like: string): string[] => [
      'plan',
      '--fleet',
      fleet,
      '--like',
      like,
      '--out',
      'P.tgp',
    ];
    const usage = { exitCode: 2, code: 'usage' } as const;
    await refuseAllUntouched(
      [
        {
          what: 'no adapter',
          args: plan('fleet', 'adapters/none'),
          exitCode: 1,
          code: 'adapter.file-missing',
        },
        {
          what: 'no fleet',
          args: plan('adapters', 'adapters/start'),
          exitCode: 1,
          code: 'fleet.not-a-fleet',
        },
        { what: 'neither --out nor --explain', args: args(), exitCode: 2, code: 'usage.out' },
        { what: '9 bits', args: args('--bits', '9', '--out', 'P.tgp'), ...usage },
        { what: 'round 0', args: args('--round', '0', '--out', 'P.tgp'), ...usage },
        { what: 'a clip bound of 0', args: args('--clip', '0', '--out', 'P.tgp'), ...usage },
      ],
      { cwd },
    );
  });
});
