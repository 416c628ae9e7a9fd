import { statSync } from 'node:fs';
import { expect } from 'chai';
import { z } from 'zod';
import { readJsonlRecords } from '../../../lib/observability/jsonl-reader.js';
import {
  RECORDED_ROUND_PHASES,
  recordSchema,
  type TelemetryRecord,
} from '../../../lib/observability/records.js';
import type { RobotReport } from '../../../lib/observability/robot-report.js';
import { PHASES } from '../../../lib/round/machine/phases.js';
import { custodyStatus } from '../../observability/support/records.js';
import { ServedTestFleet } from '../support/served-fleet.js';
import { eventually, personToken, readAs } from './support.js';

const anything = z.unknown();
const listed = z.object({ records: z.array(recordSchema) });
const clientsSchema = z.object({
  enrolled: z.int(),
  next: z.string().optional(),
  clients: z.array(
    z.object({
      client: z.string(),
      standing: z.string(),
      health: z.array(z.object({ policy: z.string(), score: z.number(), lastRound: z.int() })),
      lastSeenMs: z.int().optional(),
      lastReport: z
        .object({ receivedAtMs: z.int(), report: z.looseObject({ sequence: z.int() }) })
        .optional(),
    }),
  ),
});

describe('what people read of a fleet', function () {
  this.timeout(120_000);

  let fleet: ServedTestFleet;
  let token: string;
  before(async () => {
    fleet = await ServedTestFleet.create(4);
    await start();
    token = await personToken(fleet);
  });
  after(() => fleet.stop());

  async function start(): Promise<void> {
    await fleet.start({ recordsDirectory: fleet.at('records') });
  }

  async function records(query = ''): Promise<TelemetryRecord[]> {
    const response = await readAs(fleet, token, `/v1/records${query}`);
    expect(response.status).to.equal(200);
    return listed.parse(await response.json()).records;
  }

  async function clients(query = ''): Promise<z.infer<typeof clientsSchema>> {
    const response = await readAs(fleet, token, `/v1/clients${query}`);
    expect(response.status, await response.clone().text()).to.equal(200);
    return clientsSchema.parse(await response.json());
  }

  const report = (number: number, sequence: number, changes: Partial<RobotReport> = {}): RobotReport => ({
    schema: '1.0.0',
    client: fleet.clientId(number),
    policy: 'balanced',
    sequence,
    atMs: 1_790_000_000_000,
    ...changes,
  });

  async function send(number: number, sequence: number, changes: Partial<RobotReport> = {}): Promise<void> {
    const api = await fleet.api(`client-${number}` as 'client-1');
    const path = `/v1/clients/${fleet.clientId(number)}/reports/${sequence}`;
    await api.sendJson('PUT', path, report(number, sequence, changes), anything);
  }

  it('records phases as the round machine has them', () => {
    expect(RECORDED_ROUND_PHASES).to.deep.equal(PHASES);
  });

  it('lists every enrolled client, and of one that nobody has heard of nothing but its standing', async () => {
    const { clients: all, enrolled } = await clients();
    expect(enrolled).to.equal(4);
    expect(all.map(({ client }) => client)).to.deep.equal([1, 2, 3, 4].map((n) => fleet.clientId(n)));
    expect(all[3]).to.deep.equal({ client: fleet.clientId(4), standing: 'active', health: [] });
  });

  it('lists clients page by page', async () => {
    const first = await clients('?limit=3');
    expect(first.clients).to.have.length(3);
    expect(first.next).to.equal(fleet.clientId(3));
    const second = await clients(`?limit=3&after=${first.next}`);
    expect(second.clients.map(({ client }) => client)).to.deep.equal([fleet.clientId(4)]);
    expect(second.next).to.equal(undefined);
    for (const bad of ['0', '1001', '-1', 'all']) {
      expect((await readAs(fleet, token, `/v1/clients?limit=${bad}`)).status).to.equal(400);
    }
  });

  it('says when a client was last heard of and what it reported, also after a restart', async () => {
    const before = Date.now();
    const runs = { counter: 3, adapterFingerprint: 'cd'.repeat(32) };
    await send(1, 7, { runs });
    for (const restarted of [false, true]) {
      if (restarted) {
        await fleet.stop();
        await start();
      }
      const [robot] = (await clients()).clients;
      expect(robot?.lastSeenMs).to.be.within(before, Date.now());
      expect(robot?.lastReport?.report).to.deep.equal(report(1, 7, { runs }));
      expect(robot?.lastReport?.receivedAtMs).to.be.within(before, Date.now());
    }
  });

  it('keeps what a budget is at once for each round that was paid for, with an alarm where it is spent', async () => {
    const privacy = { epsilonSpent: 9.5, epsilonBudget: 10, delta: 1e-5, rounds: 19 };
    await send(2, 1, { privacy });
    await send(2, 2, { privacy });
    await send(2, 3, { privacy: { ...privacy, epsilonSpent: 10.4, rounds: 20 } });
    const kept = await eventually(async () => {
      const found = await records('?kind=privacy');
      return found.length === 2 ? found : undefined;
    });
    expect(kept[0]).to.include({ client: fleet.clientId(2), rounds: 20, epsilonRemaining: 0, roundsLeft: 0 });
    expect(kept[1]).to.include({ epsilonRemaining: 0.5, epsilonPerRound: 0.5, roundsLeft: 1 });
    const alarms = await eventually(async () => {
      const found = await records('?kind=alert');
      return found.length === 2 ? found : undefined;
    });
    expect(alarms.map((each) => each.kind === 'alert' && each.name).sort()).to.deep.equal([
      'privacy-budget-exhausted',
      'privacy-budget-low',
    ]);
  });

  it('records a round at each phase, what its sum took and what its updates cost, and loses none of it with the server', async () => {
    const planned = await fleet.plan(1, { deadlineMs: 60_000 });
    const owner = await fleet.api('owner');
    await owner.putBytes(`/v1/rounds/${planned.plan}/plan`, planned.bytes, 'named-by-path', anything);
    let wireBytes = 0;
    for (const number of [1, 2, 3, 4]) {
      const sealed = await fleet.seal(number, planned.path);
      const api = await fleet.api(`client-${number}` as 'client-1');
      await api.putFile(`/v1/rounds/${planned.plan}/updates/${sealed.update}`, sealed.path, anything);
      wireBytes += statSync(sealed.path).size;
    }
    await eventually(async () => {
      const [round] = await records('?kind=round');
      return round?.kind === 'round' && round.phase === 'awaiting-answers' ? true : undefined;
    });
    const opening = {
      ...{ schema: '1.0.0', decryptMs: 12.5, contributors: 4, answers: 3, verified: true },
      disagreeing: [],
    };
    await owner.sendJson('PUT', `/v1/rounds/${planned.plan}/opening`, opening, anything);
    await eventually(async () => ((await records('?kind=latency')).length === 2 ? true : undefined));
    await fleet.stop();
    await start();
    const [round, ...others] = await records('?kind=round');
    expect(others).to.deep.equal([]);
    expect(round).to.include({
      plan: planned.plan,
      round: 1,
      received: 4,
      accepted: 4,
      quorum: 3,
      eligible: 4,
    });
    const stages = Object.assign(
      {},
      ...(await records('?kind=latency')).map((each) => each.kind === 'latency' && each.stagesMs),
    ) as Record<string, { count: number; median: number; maximum: number }>;
    expect(Object.keys(stages).sort()).to.deep.equal(['aggregate', 'compress', 'decrypt', 'encrypt']);
    expect(stages['encrypt']).to.include({ count: 4 });
    expect(stages['encrypt']?.maximum).to.be.greaterThan(0);
    expect(stages['aggregate']).to.include({ count: 1 });
    expect(stages['decrypt']).to.include({ count: 1, median: 12.5 });
    const [compression] = await records('?kind=compression');
    if (compression?.kind !== 'compression') throw new Error('no record of compression');
    expect(compression).to.include({ updates: 4, wireBytes });
    expect(compression.ratio).to.be.greaterThan(compression.effectiveRatio);
    expect(compression.effectiveRatio).to.equal(compression.originalBytes / wireBytes);
    expect(compression.compressedBytes).to.be.lessThan(wireBytes);
  });

  it('writes all of it to the directory for records as well', async () => {
    const written = await readJsonlRecords(fleet.at('records'));
    expect(written.unreadable).to.equal(0);
    const kinds = new Set(written.records.map(({ kind }) => kind));
    expect([...kinds]).to.include.members(['privacy', 'alert']);
    const kept = await records('?kind=privacy&limit=1000');
    expect(written.records.filter(({ kind }) => kind === 'privacy')).to.deep.equal(kept);
  });

  it('shows custodians as the roster lists them, with what their agents said last', async () => {
    const api = await fleet.api('custodian-2');
    const status = custodyStatus({ openBreakGlass: [{ entry: 3, key: 'kem-1', round: 'round 7' }] });
    await api.sendJson('PUT', '/v1/custody/custodian-2', status, anything);
    // Held up on its way: it does not undo what came later.
    await api.sendJson('PUT', '/v1/custody/custodian-2', custodyStatus({ atMs: status.atMs - 1 }), anything);
    const custody = (await (await readAs(fleet, token, '/v1/custody')).json()) as {
      readonly custodians: readonly { readonly reported?: { readonly status: unknown } }[];
    };
    expect(custody.custodians.map(({ reported }) => reported?.status)).to.deep.equal([
      undefined,
      status,
      undefined,
      undefined,
    ]);
    const alarm = await eventually(async () =>
      (await records('?kind=alert')).find(
        (each) => each.kind === 'alert' && each.name === 'break-glass-open',
      ),
    );
    expect(alarm).to.include({ severity: 'critical', custodian: 'custodian-2' });
  });

  it('takes a custodian’s word from itself alone, and nothing in it that is not of the schema', async () => {
    const api = await fleet.api('custodian-1');
    const code = async (path: string, body: unknown): Promise<unknown> =>
      api.sendJson('PUT', path, body, anything).then(
        () => undefined,
        (error: { readonly code: string }) => error.code,
      );
    expect(await code('/v1/custody/custodian-2', custodyStatus())).to.equal('auth.not-yours');
    expect(await code('/v1/custody/custodian-1', { ...custodyStatus(), secret: 'x' })).to.equal(
      'request.invalid',
    );
    const unknown = `/v1/rounds/${'a'.repeat(64)}/opening`;
    expect((await readAs(fleet, token, '/v1/records?kind=secret')).status).to.equal(400);
    const owner = await fleet.api('owner');
    const opening = {
      schema: '1.0.0',
      decryptMs: 1,
      contributors: 3,
      answers: 3,
      verified: true,
      disagreeing: [],
    };
    const refused = await owner
      .sendJson('PUT', unknown, opening, anything)
      .catch((error: { readonly code: string }) => error.code);
    expect(refused).to.equal('round.unknown');
  });

  it('tells people of records as they come, and agents nothing of them', async () => {
    const stop = new AbortController();
    const heard = new Map<string, string>();
    const listen = async (name: string, headers: Record<string, string>): Promise<void> => {
      const url = new URL('/v1/events', fleet.service.address);
      const response = await fetch(url, { headers, signal: stop.signal });
      if (response.body === null) throw new Error('no stream');
      heard.set(name, '');
      const read = async (): Promise<void> => {
        for await (const bytes of response.body as AsyncIterable<Uint8Array>)
          heard.set(name, heard.get(name) + Buffer.from(bytes).toString());
      };
      read().catch(() => undefined);
      await eventually(async () => (heard.get(name)?.includes('listening') ? true : undefined));
    };
    await listen('viewer', { authorization: `Bearer ${token}` });
    const client = await fleet.api('client-3');
    const stream = await client.openStream('/v1/events', { signal: stop.signal });
    heard.set('client', '');
    const read = async (): Promise<void> => {
      for await (const bytes of stream.body as AsyncIterable<Uint8Array>)
        heard.set('client', heard.get('client') + Buffer.from(bytes).toString());
    };
    read().catch(() => undefined);
    await eventually(async () => (heard.get('client')?.includes('listening') ? true : undefined));
    await send(3, 1, { privacy: { epsilonSpent: 1, epsilonBudget: 10, delta: 1e-5, rounds: 2 } });
    const event = await eventually(
      async () => /event: record\ndata: (.*)\n\n/.exec(heard.get('viewer') ?? '')?.[1],
    );
    expect(JSON.parse(event)).to.include({ kind: 'privacy', client: fleet.clientId(3), roundsLeft: 18 });
    // A round that comes after it is heard by both: nothing was under way any more.
    const planned = await fleet.plan(2, { deadlineMs: 60_000 });
    const owner = await fleet.api('owner');
    await owner.putBytes(`/v1/rounds/${planned.plan}/plan`, planned.bytes, 'named-by-path', anything);
    await eventually(async () => (heard.get('client')?.includes(planned.plan) ? true : undefined));
    expect(heard.get('client')).not.to.include('event: record');
    stop.abort();
  });
});
