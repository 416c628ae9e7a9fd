import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { z } from 'zod';
import type { RobotReport } from '../../../lib/observability/robot-report.js';
import {
  PrometheusProcess,
  promtool,
  requirePrometheus,
} from '../../observability/support/prometheus-tools.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { ServedTestFleet } from '../support/served-fleet.js';
import { eventually, personToken, readAs } from './support.js';

const examples = fileURLToPath(new URL('../../../../examples/observability/', import.meta.url));
const anything = z.unknown();

const alertsSchema = z.object({
  alerts: z.array(
    z.object({ state: z.string(), labels: z.record(z.string(), z.string()), value: z.string() }),
  ),
});
const targetsSchema = z.object({
  activeTargets: z.array(z.object({ health: z.string(), lastError: z.string(), scrapeUrl: z.string() })),
});
const queriedSchema = z.object({
  result: z.array(
    z.object({ metric: z.record(z.string(), z.string()), value: z.tuple([z.number(), z.string()]) }),
  ),
});

describe('metrics', function () {
  this.timeout(120_000);

  let fleet: ServedTestFleet;
  let token: string;
  before(async () => {
    fleet = await ServedTestFleet.create(4);
    await fleet.start();
    token = await personToken(fleet);
  });
  after(() => fleet.stop());

  async function scrape(): Promise<string> {
    const response = await readAs(fleet, token, '/metrics');
    expect(response.status).to.equal(200);
    expect(response.headers.get('content-type')).to.match(/^text\/plain; version=0\.0\.4/);
    return response.text();
  }

  /** The samples of one metric, by their labels as they stand there. */
  async function samples(name: string): Promise<Record<string, number>> {
    const lines = (await scrape())
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
    return Object.fromEntries(
      lines.map((line) => [
        line.slice(name.length, line.lastIndexOf(' ')),
        Number(line.slice(line.lastIndexOf(' '))),
      ]),
    );
  }

  let sequence = 0;
  async function report(number: number, changes: Partial<RobotReport>): Promise<void> {
    sequence += 1;
    const client = fleet.clientId(number);
    const body = { schema: '1.0.0', client, policy: 'balanced', sequence, atMs: Date.now(), ...changes };
    const api = await fleet.api(`client-${number}` as 'client-1');
    await api.sendJson('PUT', `/v1/clients/${client}/reports/${sequence}`, body, anything);
  }

  async function wholeRound(): Promise<void> {
    const planned = await fleet.plan(1, { deadlineMs: 60_000 });
    const owner = await fleet.api('owner');
    await owner.putBytes(`/v1/rounds/${planned.plan}/plan`, planned.bytes, 'named-by-path', anything);
    for (const number of [1, 2, 3, 4]) {
      const sealed = await fleet.seal(number, planned.path);
      const api = await fleet.api(`client-${number}` as 'client-1');
      await api.putFile(`/v1/rounds/${planned.plan}/updates/${sealed.update}`, sealed.path, anything);
    }
    await eventually(async () => {
      const found = await samples('tensorguard_updates_aggregated_total');
      return Object.values(found)[0] === 4 ? true : undefined;
    });
  }

  it('are what happened: updates, bytes, stages, episodes, budgets', async () => {
    await wholeRound();
    const episodes = { episodes: 10, successes: 9, violations: 1, collisions: 0 };
    const privacy = { epsilonSpent: 4, epsilonBudget: 10, delta: 1e-5, rounds: 8 };
    await report(1, { episodes, latenciesMs: { upload: 400, apply: 30 }, privacy });
    await report(2, { privacy: { ...privacy, epsilonSpent: 6 } });
    expect(await samples('tensorguard_updates_received_total')).to.deep.equal({ '{policy="balanced"}': 4 });
    expect(await samples('tensorguard_episodes_total')).to.deep.equal({
      '{policy="balanced",result="success"}': 9,
      '{policy="balanced",result="failure"}': 1,
    });
    expect(await samples('tensorguard_privacy_budget_used_ratio')).to.deep.equal({
      '{policy="balanced"}': 0.6,
    });
    expect(await samples('tensorguard_clients')).to.deep.equal({
      '{standing="active"}': 4,
      '{standing="suspended"}': 0,
      '{standing="revoked"}': 0,
    });
    expect(await samples('tensorguard_clients_seen')).to.deep.equal({ '': 4 });
    expect(await samples('tensorguard_custodians')).to.deep.equal({ '': 4 });
    const counts = await samples('tensorguard_stage_duration_seconds_count');
    expect(counts).to.deep.equal({
      '{stage="aggregate"}': 1,
      '{stage="compress"}': 4,
      '{stage="encrypt"}': 4,
      '{stage="upload"}': 1,
      '{stage="apply"}': 1,
    });
    const bytes = await samples('tensorguard_update_bytes_total');
    expect(bytes['{part="wire"}']).to.be.greaterThan(bytes['{part="compressed"}'] ?? Number.NaN);
  });

  it('name no client, however many there are', async () => {
    for (const number of [1, 2, 3, 4]) {
      expect(await scrape()).not.to.include(fleet.clientId(number));
    }
    expect(await scrape()).not.to.include('custodian-1');
  });

  it('are for people with a token alone', async () => {
    expect((await fetch(new URL('/metrics', fleet.service.address))).status).to.equal(401);
  });

  it('are what the dashboard and the alert rules ask for', async () => {
    const text = await scrape();
    const known = new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name as string));
    // Prometheus has it of every target.
    known.add('up');
    const dashboard = JSON.parse(await readFile(join(examples, 'grafana-dashboard.json'), 'utf8')) as {
      panels: { title: string; targets: { expr: string }[] }[];
    };
    const queries = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
    expect(queries.length).to.be.greaterThan(20);
    const rules = await readFile(join(examples, 'alerts.yml'), 'utf8');
    queries.push(...[...rules.matchAll(/expr: (?!>-)(.*)$/gm)].map(([, expr]) => expr as string), rules);
    const named = new Set(
      queries.flatMap((query) => query.match(/\b(?:tensorguard|process|nodejs)_[a-z0-9_]+/g) ?? []),
    );
    expect(named.size).to.be.greaterThan(20);
    for (const name of named) {
      const family = name.replace(/_(?:bucket|sum|count)$/, '');
      expect(known.has(name) || known.has(family), name).to.equal(true);
    }
    // Of all that is measured, somebody looks at most.
    const unseen = [...known].filter(
      (name) => name.startsWith('tensorguard_') && !named.has(name) && !named.has(`${name}_bucket`),
    );
    expect(unseen).to.deep.equal(['tensorguard_build_info']);
  });

  describe('to Prometheus', () => {
    before(function () {
      requirePrometheus(this);
    });

    it('are well formed and well named (promtool check metrics)', async () => {
      expect(promtool(['check', 'metrics'], await scrape())).to.deep.equal({ status: 0, said: '' });
      // It can say otherwise.
      const { status, said } = promtool(['check', 'metrics'], '# TYPE bad_total gauge\nbad_total 1\n');
      expect(status).not.to.equal(0);
      expect(said).to.include('bad_total');
    });

    it('have alert rules that fire when they should (promtool test rules)', () => {
      expect(promtool(['check', 'rules', join(examples, 'alerts.yml')]).said).to.include('13 rules found');
      const { status, said } = promtool(['test', 'rules', join(examples, 'alerts.test.yml')]);
      expect(status, said).to.equal(0);
    });

    it('are asked for by queries that it can read', async () => {
      const dashboard = JSON.parse(await readFile(join(examples, 'grafana-dashboard.json'), 'utf8')) as {
        panels: { targets: { expr: string }[] }[];
      };
      const directory = await temporaryDirectory();
      const rules = dashboard.panels
        .flatMap(({ targets }) => targets)
        .map(({ expr }, i) => ({ record: `panel:${i}`, expr: expr.replaceAll('$__rate_interval', '1m') }));
      // JSON is YAML.
      await writeFile(join(directory, 'panels.yml'), JSON.stringify({ groups: [{ name: 'panels', rules }] }));
      const { status, said } = promtool(['check', 'rules', join(directory, 'panels.yml')]);
      expect(status, said).to.equal(0);
    });

    it('are scraped, and a site that overruns its budget raises the alarm', async () => {
      const directory = await temporaryDirectory();
      await writeFile(join(directory, 'token'), token, { mode: 0o600 });
      const example = await readFile(join(examples, 'prometheus.yml'), 'utf8');
      // The example itself, but for its pace and its paths.
      const config = example
        .replaceAll('_interval: 15s', '_interval: 1s')
        .replace('rule_files: [alerts.yml]', `rule_files: ["${join(examples, 'alerts.yml')}"]`)
        .replace('credentials_file: tensorguard.token', `credentials_file: ${join(directory, 'token')}`)
        .replace('127.0.0.1:8080', new URL(fleet.service.address).host);
      const prometheus = await PrometheusProcess.start(config);
      try {
        const target = await eventually(async () => {
          const { activeTargets } = targetsSchema.parse(await prometheus.get('/api/v1/targets'));
          return activeTargets.find(({ health }) => health === 'up');
        });
        expect(target).to.include({ health: 'up', lastError: '' });
        const firing = async (): Promise<z.infer<typeof alertsSchema>['alerts']> =>
          alertsSchema
            .parse(await prometheus.get('/api/v1/alerts'))
            .alerts.filter(
              ({ state, labels }) => state === 'firing' && labels['alertname']?.includes('Budget'),
            );
        const spent = async (): Promise<string | undefined> => {
          const query = '/api/v1/query?query=tensorguard_privacy_budget_used_ratio';
          return queriedSchema.parse(await prometheus.get(query)).result[0]?.value[1];
        };
        await eventually(async () => ((await spent()) === '0.6' ? true : undefined));
        expect(await firing()).to.deep.equal([]);
        await report(3, { privacy: { epsilonSpent: 10.5, epsilonBudget: 10, delta: 1e-5, rounds: 21 } });
        const [alarm] = await eventually(async () => {
          const found = await firing();
          return found.length > 0 ? found : undefined;
        });
        expect(alarm?.labels).to.include({
          alertname: 'TensorGuardPrivacyBudgetExhausted',
          severity: 'critical',
          policy: 'balanced',
        });
        expect(alarm?.value).to.equal('1e+00');
      } finally {
        await prometheus.stop();
      }
    });
  });
});
