import { expect } from 'chai';
import { FleetMetrics } from '../../../lib/observability/fleet-metrics.js';
import { metricsExportFrom } from '../../../lib/observability/otlp/otlp-metrics.js';
import { tracingFrom } from '../../../lib/observability/otlp/otlp-tracing.js';
import { NO_TRACING, roundTraceIds, traced } from '../../../lib/observability/tracing.js';
import { OtlpCollector, withEnvironment } from '../support/otlp-collector.js';

const PLAN = 'ab'.repeat(32);
const VERSION = '0.0.0';

describe('what is sent over OTLP', function () {
  this.timeout(20_000);

  let collector: OtlpCollector;
  let restore: () => void;
  before(async () => {
    collector = await OtlpCollector.start();
    restore = withEnvironment(collector.environment);
  });
  after(async () => {
    restore();
    await collector.stop();
  });

  it('is one trace a round, whoever sends: its id follows from the plan', async () => {
    const roles = ['client', 'aggregator', 'custodian', 'owner'] as const;
    for (const role of roles) {
      const tracing = await tracingFrom(collector.environment, { role, version: VERSION });
      if (role === 'aggregator') {
        tracing.span({ plan: PLAN, name: 'round', startMs: 1000, endMs: 9000, isRoot: true });
      }
      await traced(tracing, { plan: PLAN, name: role, attributes: { updates: 3 } }, async () => undefined);
      await tracing.close();
    }
    const { traceId, rootSpanId } = roundTraceIds(PLAN);
    const { spans } = collector;
    expect(spans.map(({ name }) => name).sort()).to.deep.equal([...roles, 'round'].sort());
    expect(new Set(spans.map((span) => span.traceId))).to.deep.equal(new Set([traceId]));
    expect(new Set(spans.map(({ service }) => service))).to.deep.equal(
      new Set(roles.map((role) => `tensorguard-${role}`)),
    );
    const root = spans.find(({ name }) => name === 'round');
    expect(root).to.include({
      spanId: rootSpanId,
      startTimeUnixNano: '1000000000',
      endTimeUnixNano: '9000000000',
    });
    expect(root?.parentSpanId ?? '').to.equal('');
    const others = spans.filter(({ name }) => name !== 'round');
    expect(new Set(others.map(({ parentSpanId }) => parentSpanId))).to.deep.equal(new Set([rootSpanId]));
    expect(new Set(spans.map(({ spanId }) => spanId)).size).to.equal(spans.length);
  });

  it('says of what failed with which code, and lets the failure through', async () => {
    const tracing = await tracingFrom(collector.environment, { role: 'client', version: VERSION });
    const failure = Object.assign(new Error('full'), { code: 'storage.full' });
    const caught = await traced(tracing, { plan: PLAN, name: 'fails' }, async () => {
      throw failure;
    }).catch((error: unknown) => error);
    expect(caught).to.equal(failure);
    await tracing.close();
    const span = collector.spans.find(({ name }) => name === 'fails');
    expect(span?.status.code).to.equal(2);
    expect(span?.attributes).to.deep.include({ key: 'error.type', value: { stringValue: 'storage.full' } });
  });

  it('is nothing where nothing is asked for', async () => {
    expect(await tracingFrom({}, { role: 'client', version: VERSION })).to.equal(NO_TRACING);
    const metrics = new FleetMetrics(VERSION);
    const service = { role: 'aggregator', version: VERSION } as const;
    expect(await metricsExportFrom({}, service, metrics.registry, async () => undefined)).to.equal(undefined);
  });

  it('has the metrics that Prometheus has, counters, gauges and histograms alike', async () => {
    const metrics = new FleetMetrics(VERSION);
    metrics.updates('pick', 7, 2);
    for (const milliseconds of [0.5, 3, 3, 700, 1e9]) metrics.stage('encrypt', milliseconds);
    const sending = await metricsExportFrom(
      collector.environment,
      { role: 'aggregator', version: VERSION },
      metrics.registry,
      async () => metrics.dropped('jsonl', 4),
    );
    await sending?.close();
    const sent = collector.metrics.at(-1) ?? new Map<string, unknown>();
    const families = (await metrics.registry.getMetricsAsJSON()).filter(({ values }) => values.length > 0);
    for (const { name } of families) expect(sent.has(name), name).to.equal(true);
    expect(sent.get('tensorguard_updates_received_total')).to.deep.include({
      sum: {
        aggregationTemporality: 2,
        isMonotonic: true,
        dataPoints: [
          {
            ...pointOf(sent.get('tensorguard_updates_received_total')),
            attributes: [{ key: 'policy', value: { stringValue: 'pick' } }],
            asDouble: 7,
          },
        ],
      },
    });
    // Brought up to date before it was read.
    expect(JSON.stringify(sent.get('tensorguard_records_dropped_total'))).to.include('"asDouble":4');
    const { histogram } = sent.get('tensorguard_stage_duration_seconds') as {
      histogram: {
        dataPoints: { count: number; sum: number; bucketCounts: number[]; explicitBounds: number[] }[];
      };
    };
    const [point] = histogram.dataPoints;
    expect(point).to.include({ count: 5 });
    expect(point?.sum).to.be.closeTo(1_000_000.7065, 1e-6);
    const counted = Object.fromEntries(
      (point?.bucketCounts ?? []).flatMap((count, i) =>
        count === 0 ? [] : [[point?.explicitBounds[i] ?? 'more', count]],
      ),
    );
    expect(counted).to.deep.equal({ 0.001: 1, 0.005: 2, 1: 1, more: 1 });
    await metrics.close();
  });
});

/** The times of the only point. */
function pointOf(metric: unknown): Record<string, unknown> {
  const { sum } = metric as { sum: { dataPoints: Record<string, unknown>[] } };
  const { startTimeUnixNano, timeUnixNano } = sum.dataPoints[0] ?? {};
  return { startTimeUnixNano, timeUnixNano };
}
