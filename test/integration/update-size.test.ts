/** What an update of the adapter that LeRobot trains on SmolVLA takes on the wire. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { smolVlaShapes } from '../../lib/adapter/smolvla.js';
import { writeSyntheticAdapter } from '../../lib/adapter/synthetic.js';
import { succeed } from '../cli/support/command.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

const MAX_BYTES_PER_VALUE = 2.2;

describe('the size of an update', function () {
  this.timeout(60_000);

  it(`is at most ${MAX_BYTES_PER_VALUE} bytes a value for SmolVLA's adapter at 8 bits, 16 clients, 3 of 4`, async () => {
    const cwd = await temporaryDirectory();
    await writeSyntheticAdapter(join(cwd, 'adapter'), { seed: 'size' });
    const values = smolVlaShapes().reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    expect(values).to.equal(742_656);
    await succeed(['fleet', 'init', 'fleet', '--clients', '3', '--custodians', '4', '--threshold', '3'], {
      cwd,
    });
    const plan = ['plan', '--fleet', 'fleet', '--like', 'adapter', '--bits', '8', '--max-clients', '16'];
    await succeed([...plan, '--out', 'R.tgp'], { cwd });
    const seal = [
      'seal',
      'adapter',
      '--plan',
      'R.tgp',
      '--client',
      'fleet/clients/client-01',
      '--out',
      'U.tgu',
    ];
    const { document } = await succeed(seal, { cwd });
    const { size } = await stat(join(cwd, 'U.tgu'));
    console.log(`      ${size} bytes, ${(size / values).toFixed(4)} a value`);
    expect(size / values).to.be.at.most(MAX_BYTES_PER_VALUE);
    expect(document).to.include({ values, sizeBytes: size, bytesPerValue: size / values });
  });
});
