import { expect } from 'chai';
import { z } from 'zod';
import type { RobotReport } from '../../../lib/observability/robot-report.js';
import { keySegment, REPORT_PREFIX } from '../../../lib/server/state/keys.js';
import { ServedTestFleet } from '../support/served-fleet.js';

const taken = z.object({ sequence: z.int() });

describe('reports of robots', function () {
  this.timeout(60_000);

  let fleet: ServedTestFleet;
  before(async () => {
    fleet = await ServedTestFleet.create(3);
    await fleet.start();
  });
  after(() => fleet.stop());

  const report = (changes: Partial<RobotReport> = {}): RobotReport => ({
    schema: '1.0.0',
    client: fleet.clientId(1),
    policy: 'balanced',
    sequence: 5,
    atMs: 1_700_000_000_000,
    runs: { counter: 1, adapterFingerprint: 'ab'.repeat(32) },
    ...changes,
  });

  async function put(
    body: unknown,
    path = `/v1/clients/${fleet.clientId(1)}/reports/5`,
    as: 'client-1' | 'client-2' = 'client-1',
  ): Promise<string | undefined> {
    const api = await fleet.api(as);
    try {
      await api.sendJson('PUT', path, body, taken);
      return undefined;
    } catch (error) {
      return (error as { readonly code: string }).code;
    }
  }

  const pathOf = (sequence: number | string): string =>
    `/v1/clients/${fleet.clientId(1)}/reports/${sequence}`;

  it('are kept, one a client, with the time at which the server got it', async () => {
    const before = Date.now();
    expect(await put(report())).to.equal(undefined);
    const { reports, store } = fleet.service.context;
    const last = await reports.of(fleet.clientId(1));
    expect(last?.report).to.deep.equal(report());
    expect(last?.receivedAtMs).to.be.within(before, Date.now());
    expect(await store.state.get(`${REPORT_PREFIX}.${keySegment(fleet.clientId(1))}`)).to.not.equal(
      undefined,
    );
  });

  it('may be sent again as they were, which changes nothing', async () => {
    const { reports } = fleet.service.context;
    const earlier = await reports.of(fleet.clientId(1));
    expect(await put(report())).to.equal(undefined);
    expect(await reports.of(fleet.clientId(1))).to.deep.equal(earlier);
  });

  it('are refused with a number that another one has, or a lower one', async () => {
    expect(await put(report({ residualNorm: 2 }))).to.equal('report.equivocation');
    expect(await put(report({ sequence: 4 }), pathOf(4))).to.equal('report.older');
    expect(await put(report({ sequence: 6 }), pathOf(6))).to.equal(undefined);
    expect(await put(report())).to.equal('report.older');
    expect((await fleet.service.context.reports.of(fleet.clientId(1)))?.report.sequence).to.equal(6);
  });

  it('are taken from nobody but the robot that they are of', async () => {
    expect(await put(report({ sequence: 7 }), pathOf(7), 'client-2')).to.equal('auth.not-yours');
    const theirs = report({ sequence: 7, client: fleet.clientId(2) });
    expect(await put(theirs, pathOf(7))).to.equal('report.other-name');
    expect(await put(report({ sequence: 8 }), pathOf(7))).to.equal('report.other-name');
  });

  it('are refused where a field is unknown, missing or out of range', async () => {
    const counts = { episodes: 2, successes: 1, violations: 0, collisions: 0 };
    const bad: unknown[] = [
      null,
      [],
      {},
      { ...report({ sequence: 7 }), learned: 'secret' },
      { ...report({ sequence: 7 }), schema: '2.0.0' },
      { ...report({ sequence: 7 }), runs: { counter: 0, adapterFingerprint: 'ab'.repeat(32) } },
      { ...report({ sequence: 7 }), runs: { counter: 1, adapterFingerprint: 'AB'.repeat(32) } },
      { ...report({ sequence: 7 }), episodes: { ...counts, successes: 3 } },
      {
        ...report({ sequence: 7 }),
        episodes: { ...counts, latencyMs: { count: 2, sum: 9, sumOfSquares: 1 } },
      },
      { ...report({ sequence: 7 }), residualNorm: -1 },
    ];
    for (const body of bad) {
      expect(await put(body, pathOf(7)), JSON.stringify(body)).to.equal('request.invalid');
    }
    expect(await put(report({ sequence: 7 }), pathOf('07'))).to.equal('request.invalid');
    expect(await put(report({ sequence: 7 }), pathOf('9007199254740993'))).to.equal('request.invalid');
  });

  it('of all robots can be listed', async () => {
    const second = report({ client: fleet.clientId(2), sequence: 0 });
    expect(await put(second, `/v1/clients/${fleet.clientId(2)}/reports/0`, 'client-2')).to.equal(undefined);
    const clients = (await fleet.service.context.reports.list()).map(({ report: { client } }) => client);
    expect(clients.sort()).to.deep.equal([fleet.clientId(1), fleet.clientId(2)]);
  });
});
