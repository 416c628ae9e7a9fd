import { writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import { z } from 'zod';
import type { RobotReport } from '../../lib/observability/robot-report.js';
import { custodyStatus } from '../observability/support/records.js';
import { ServedTestFleet } from '../server/support/served-fleet.js';
import { eventually, personToken } from '../server/telemetry/support.js';
import { refuse, succeed, tensorguard } from './support/command.js';

const anything = z.unknown();

describe('what an operator asks on a terminal', function () {
  this.timeout(120_000);

  let fleet: ServedTestFleet;
  let reach: string[];

  async function report(number: number, changes: Partial<RobotReport>): Promise<void> {
    const client = fleet.clientId(number);
    const body = {
      schema: '1.0.0',
      client,
      policy: 'balanced',
      sequence: number,
      atMs: Date.now(),
      ...changes,
    };
    const api = await fleet.api(`client-${number}` as 'client-1');
    await api.sendJson('PUT', `/v1/clients/${client}/reports/${number}`, body, anything);
  }

  before(async () => {
    fleet = await ServedTestFleet.create(4);
    const { context } = await fleet.start({ recordsDirectory: fleet.at('records') });
    await writeFile(fleet.at('token'), `${await personToken(fleet)}\n`, { mode: 0o600 });
    reach = ['--server', fleet.service.address, '--token-file', fleet.at('token')];
    const planned = await fleet.plan(1, { deadlineMs: 600_000 });
    const owner = await fleet.api('owner');
    await owner.putBytes(`/v1/rounds/${planned.plan}/plan`, planned.bytes, 'named-by-path', anything);
    for (const number of [1, 2, 3, 4]) {
      const sealed = await fleet.seal(number, planned.path);
      const api = await fleet.api(`client-${number}` as 'client-1');
      await api.putFile(`/v1/rounds/${planned.plan}/updates/${sealed.update}`, sealed.path, anything);
    }
    await report(1, { privacy: { epsilonSpent: 2, epsilonBudget: 10, delta: 1e-5, rounds: 4 } });
    await report(2, { privacy: { epsilonSpent: 10.0001, epsilonBudget: 10, delta: 1e-5, rounds: 20 } });
    const status = custodyStatus({ openBreakGlass: [{ entry: 3, key: 'kem-1', round: 'round 7' }] });
    const custodian = await fleet.api('custodian-2');
    await custodian.sendJson('PUT', '/v1/custody/custodian-2', status, anything);
    await eventually(async () =>
      (await context.telemetry.records.newest(10, 'compression')).length > 0 ? true : undefined,
    );
    const next = await fleet.plan(2, { deadlineMs: 600_000 });
    await owner.putBytes(`/v1/rounds/${next.plan}/plan`, next.bytes, 'named-by-path', anything);
  });
  after(() => fleet.stop());

  const cwd = (): { cwd: string } => ({ cwd: fleet.directory });

  it('is told where everything stands', async () => {
    const { exitCode, stdout, stderr } = await tensorguard(['status', ...reach], cwd());
    expect(exitCode, stderr).to.equal(0);
    expect(stdout).to.include('server: ready');
    expect(stdout).to.include('fleet: 4 active of 4 clients, 4 heard of within 5 min');
    expect(stdout).to.match(/round 2 of balanced \(all\): open, 0 of 4 sent, quorum 3, \d+ min left/);
    expect(stdout).to.include('round 1 of balanced (all): awaiting-answers, 0 of 3 answers');
    expect(stdout).to.include(`at worst epsilon 10.001 of 10 (${fleet.clientId(2)}): SPENT`);
    expect(stdout).to.include('custodian-2: BREAK-GLASS OPEN: entry 3');
    expect(stdout).to.include('custodian-1: epoch 1, has not reported');
    expect(stdout).not.to.include('STUCK');
  });

  it('is told the same as one JSON document', async () => {
    const { document } = await succeed(['status', ...reach], cwd());
    expect(document).to.deep.include({ openBreakGlass: 1, ready: { status: 'ready', missing: [] } });
    expect(document['fleet']).to.deep.equal({ clients: 4, active: 4, leftOut: [], silent: [] });
    expect(document['rounds']).to.have.length(2);
    expect(document['rollouts']).to.deep.equal([]);
  });

  it('sees the last rounds as a table, from a server or from the files that it wrote', async () => {
    const table = async (source: readonly string[]): Promise<string> => {
      const { exitCode, stdout, stderr } = await tensorguard(['metrics', ...source], cwd());
      expect(exitCode, stderr).to.equal(0);
      return stdout;
    };
    const fromServer = await table(reach);
    const [head = '', second = '', first = ''] = fromServer.split('\n');
    for (const column of ['round', 'encrypt', 'aggregate', 'decrypt', 'ratio', 'effective']) {
      expect(head).to.include(column);
    }
    expect(first).to.match(/^ +1 {2}balanced {2}all +awaiting-answers +4\/4 +4 .* ms .*x +\d+\.\d\dx$/);
    // Of a round that has only begun nothing is known: no number stands there.
    expect(second).to.match(/^ +2 {2}balanced {2}all +open +0\/4( +-){10}$/);
    expect(fromServer).to.include('epsilon 10.001 of 10; at least 0 rounds left at its rate');
    expect(fromServer).to.include('critical');
    expect(await table(['--records', fleet.at('records')])).to.equal(fromServer);
    expect((await table([...reach, '--rounds', '1'])).split('\n')[2]).not.to.match(/^ +1 {2}balanced/);
  });

  it('has to say where to look, and shows its token to nobody on the way', async () => {
    await refuse(['metrics'], cwd(), { exitCode: 2, code: 'usage.one-source' });
    await refuse(['status', '--server', fleet.service.address], cwd(), {
      exitCode: 1,
      code: 'auth.required',
    });
    const elsewhere = ['--server', 'http://fleet.example.com', '--token-file', fleet.at('token')];
    await refuse(['status', ...elsewhere], cwd(), { exitCode: 1, code: 'token.insecure-server' });
    await refuse(['status', '--server', fleet.service.address, '--token-file', 'nothing'], cwd(), {
      exitCode: 1,
      code: 'token.file-unreadable',
    });
    await refuse(['status', '--server', 'http://127.0.0.1:9', '--token-file', fleet.at('token')], cwd(), {
      exitCode: 1,
      code: 'http.unreachable',
    });
  });
});
