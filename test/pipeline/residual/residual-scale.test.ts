import { fork } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { ended } from '../../custody/support/child.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import type { LargeChildArgument, LargeChildMessage } from './support/large-child.js';

describe('a large residual', () => {
  it('goes through every call in memory that does not grow with it', async () => {
    const valueCount = 20_000_000;
    const argument: LargeChildArgument = { root: join(await temporaryDirectory(), 'residuals'), valueCount };
    const child = fork(
      fileURLToPath(new URL('support/large-child.js', import.meta.url)),
      [JSON.stringify(argument)],
      { execArgv: ['--max-old-space-size=32'], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] },
    );
    const { message, killed } = await ended(child);
    expect(killed).to.equal(false);
    const { grownBytes, norm, lastValues } = message as LargeChildMessage;
    expect(lastValues).to.deep.equal([2, 2, 2]);
    expect(norm).to.equal(2 * Math.sqrt(valueCount));
    // A file has 80 MB. The test's own two tensors take 8 MB.
    expect(grownBytes).to.be.lessThan(40_000_000);
  }).timeout(120_000);
});
