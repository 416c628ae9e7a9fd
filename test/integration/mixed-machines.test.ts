/** A fleet whose machines run different instruction sets: one cipher, whoever computes it. */
import { expect } from 'chai';
import { native } from '../../lib/native.js';
import { succeed, twoAtATime } from '../cli/support/command.js';
import {
  adapterDirectory,
  clientDirectory,
  SEALED,
  updateFile,
  writeSmallAdapters,
} from '../cli/support/small-round.js';
import { snapshot } from '../cli/support/snapshot.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

describe('machines of different instruction sets', function () {
  this.timeout(60_000);

  it('seal, sum, answer and open one round together', async () => {
    const sets = native().supportedInstructionSets;
    const cwd = await temporaryDirectory();
    const on = (index: number) => ({
      cwd,
      env: { TENSORGUARD_FORCE_ISA: sets[index % sets.length] as string },
    });
    const [narrow, wide] = [on(0), on(sets.length - 1)];
    await writeSmallAdapters(cwd);
    const plan = ['--plan', 'R.tgp'];
    const init = [
      'fleet',
      'init',
      'fleet',
      '--clients',
      String(SEALED),
      '--custodians',
      '3',
      '--threshold',
      '2',
    ];
    await succeed(init, wide);
    await succeed(['plan', '--fleet', 'fleet', '--like', 'adapters/start', '--out', 'R.tgp'], wide);
    await twoAtATime(
      Array.from({ length: SEALED }, (_, i) => () => {
        const out = ['--client', clientDirectory(i + 1), '--out', updateFile(i + 1)];
        return succeed(['seal', adapterDirectory(i + 1), ...plan, ...out], on(i + 1));
      }),
    );
    await succeed(
      ['aggregate', 'updates', ...plan, '--aggregator', 'fleet/aggregator', '--out', 'A.tga'],
      narrow,
    );
    for (const custodian of [2, 3]) {
      const out = ['--custodian', `fleet/custodians/custodian-${custodian}`, '--out', `S${custodian}.tgs`];
      await succeed(['custodian', 'answer', 'A.tga', ...plan, ...out], on(custodian));
    }
    const open = ['open', 'A.tga', ...plan, '--owner', 'fleet/owner', '--answers', 'S2.tgs', 'S3.tgs'];
    const verify = ['--verify', ...Array.from({ length: SEALED }, (_, i) => updateFile(i + 1))];
    const opened = await succeed([...open, ...verify, '--out', 'on-wide'], wide);
    await succeed([...open, ...verify, '--out', 'on-scalar'], narrow);
    expect(opened.document).to.deep.include({ contributors: SEALED, verified: true });
    expect(await snapshot(`${cwd}/on-wide`)).to.deep.equal(await snapshot(`${cwd}/on-scalar`));
  });
});
