import { expect } from 'chai';
import type { EncryptRequestMessage } from '../../bench/encrypt-messages.js';
import { ForcedProcess } from '../../bench/forced-process.js';
import { EnvironmentError } from '../../lib/errors.js';

const failing = new URL('./support/failing-process.js', import.meta.url);
const request: EncryptRequestMessage = {
  part: 'digest',
  workload: { bits: 8, maxClients: 2, valueCount: 100 },
};

/** Stops this process, its event loop included. */
function sleepWithoutListening(timeMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, timeMs);
}

async function expectFailure(forced: ForcedProcess, message: RegExp): Promise<void> {
  const error: unknown = await forced.time(request).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).to.be.instanceOf(EnvironmentError);
  expect(error).to.have.property('code', 'bench.process-failed');
  expect(error).to.have.property('message').that.matches(message);
}

describe('a process under a forced instruction set', function () {
  this.timeout(30_000);

  it('is reported where it ended before it was asked, and nobody has heard of that yet', async () => {
    const forced = new ForcedProcess('ends-at-once', failing);
    sleepWithoutListening(2000);
    await expectFailure(forced, /cannot be reached \(.*EPIPE|process ended \(exit code 3\)/);
    // Its end has arrived by now.
    await expectFailure(forced, /process has ended|cannot be reached/);
    forced.close();
  });

  it('is reported where it ends while it measures', async () => {
    await expectFailure(new ForcedProcess('ends-when-asked', failing), /process ended \(SIGKILL\)/);
  });

  it('is reported where it answers with something that is not a timing', async () => {
    const forced = new ForcedProcess('answers-nonsense', failing);
    await expectFailure(forced, /not a timing/);
    await expectFailure(forced, /not a timing/);
    forced.close();
  });
});
