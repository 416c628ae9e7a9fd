import { expect } from 'chai';
import { runCustodian, runRobot } from '../../lib/agents/run-roles.js';
import { Shutdown, stoppingOnSignals } from '../../lib/agents/shutdown.js';
import { ServedTestFleet } from '../server/support/served-fleet.js';
import { expectRefusal } from '../support/refusals.js';
import { CollectedLog, eventually } from './support/collected-log.js';

/** Nobody listens there. */
const SERVER = 'http://127.0.0.1:9';
const QUICK = { pollMs: 20, backoff: { firstDelayMs: 1, maxDelayMs: 2 } };

describe('an agent without a network', function () {
  this.timeout(60_000);

  let fleet: ServedTestFleet;
  before(async () => {
    fleet = await ServedTestFleet.create(3);
  });

  function robot(log: CollectedLog, shutdown: Shutdown): Promise<void> {
    return runRobot(
      { ...QUICK, server: SERVER, log, shutdown },
      {
        clientDirectory: fleet.role('client-1'),
        adapterDirectory: fleet.adapter(1),
        quietMs: 0,
        client: { environment: {} },
      },
    );
  }

  it('goes on, takes what the trainer writes, and ends at once when it is stopped', async () => {
    const [log, shutdown] = [new CollectedLog(), new Shutdown()];
    const ended = robot(log, shutdown);
    await eventually('three failures', () => log.named('agent.step-failed').length >= 3, [log]);
    shutdown.stop();
    await ended;
    expect(log.named('robot.snapshot')).to.have.length(1);
    expect(log.events.at(-1)?.event).to.equal('agent.stopped');
  });

  it('ends at SIGTERM, and leaves the signal to others afterwards', async () => {
    const [log, shutdown] = [new CollectedLog(), new Shutdown()];
    const before = process.listenerCount('SIGTERM');
    const ended = stoppingOnSignals(shutdown, () => robot(log, shutdown));
    await eventually('a failure', () => log.named('agent.step-failed').length >= 1, [log]);
    process.emit('SIGTERM');
    await ended;
    expect(log.events.at(-1)?.event).to.equal('agent.stopped');
    expect(process.listenerCount('SIGTERM')).to.equal(before);
  });

  it('is not begun with another role’s directory, nor with an address that is none', async () => {
    const [log, shutdown] = [new CollectedLog(), new Shutdown()];
    const custodianDirectory = fleet.role('client-2');
    await expectRefusal('key.wrong-role', () =>
      runCustodian({ server: SERVER, log, shutdown }, { custodianDirectory }),
    );
    await expectRefusal('http.bad-base-url', () =>
      runCustodian({ server: 'fleet', log, shutdown }, { custodianDirectory: fleet.role('custodian-1') }),
    );
  });
});
