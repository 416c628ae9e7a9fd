/** The metrics of a registry of Prometheus as OpenTelemetry has them: what is measured is kept once. */
import type {
  CollectionResult,
  HistogramMetricData,
  MetricData,
  MetricProducer,
} from '@opentelemetry/sdk-metrics';
import type { MetricObjectWithValues, MetricValue, Registry } from 'prom-client';
import type { MetricPackages } from './packages.js';

type Family = MetricObjectWithValues<MetricValue<string>>;
type Labels = Record<string, string | number>;
type Time = [seconds: number, nanoseconds: number];

export function prometheusProducer(
  { api, sdk, resources }: Pick<MetricPackages, 'api' | 'sdk' | 'resources'>,
  registry: Registry,
  refresh: () => Promise<void>,
  now: () => number = Date.now,
): MetricProducer {
  const startTime = timeOf(now());

  function base({ name, help }: Family) {
    return {
      descriptor: { name, description: help, unit: unitOf(name), valueType: api.ValueType.DOUBLE },
      aggregationTemporality: sdk.AggregationTemporality.CUMULATIVE,
    };
  }

  function metricOf(family: Family, endTime: Time): MetricData | undefined {
    const points = family.values.map(({ labels, value }) => ({
      ...{ startTime, endTime, value },
      attributes: labels as Labels,
    }));
    // The names of their types, whatever prom-client's own enumeration is.
    switch (String(family.type)) {
      case 'counter': {
        const kind = { dataPointType: sdk.DataPointType.SUM, isMonotonic: true } as const;
        return { ...base(family), ...kind, dataPoints: points };
      }
      case 'gauge':
        return { ...base(family), dataPointType: sdk.DataPointType.GAUGE, dataPoints: points };
      case 'histogram':
        return {
          ...base(family),
          dataPointType: sdk.DataPointType.HISTOGRAM,
          dataPoints: histogramPoints(family, startTime, endTime),
        };
      default:
        return undefined;
    }
  }

  return {
    async collect(): Promise<CollectionResult> {
      const errors: unknown[] = [];
      await refresh().catch((error: unknown) => errors.push(error));
      const endTime = timeOf(now());
      const families = await registry.getMetricsAsJSON();
      const metrics = families.flatMap((family) => metricOf(family, endTime) ?? []);
      const scopeMetrics = [{ scope: { name: 'tensorguard-native' }, metrics }];
      return { resourceMetrics: { resource: resources.emptyResource(), scopeMetrics }, errors };
    },
  };
}

/** From cumulative buckets, each with its upper bound, to counts between bounds. */
function histogramPoints(
  { name, values }: Family,
  startTime: Time,
  endTime: Time,
): HistogramMetricData['dataPoints'] {
  const series = new Map<
    string,
    { attributes: Labels; bounds: [number, number][]; sum: number; count: number }
  >();
  for (const sample of values) {
    const { le, ...attributes } = sample.labels as Labels;
    const key = JSON.stringify(attributes);
    const one = series.get(key) ?? { attributes, bounds: [], sum: 0, count: 0 };
    series.set(key, one);
    const part = (sample as { readonly metricName?: string }).metricName;
    if (part === `${name}_sum`) one.sum = sample.value;
    else if (part === `${name}_count`) one.count = sample.value;
    else if (le !== undefined && le !== '+Inf') one.bounds.push([Number(le), sample.value]);
  }
  return [...series.values()].map(({ attributes, bounds, sum, count }) => {
    const cumulative = bounds.sort(([a], [b]) => a - b);
    const counts = cumulative.map(([, upTo], i) => upTo - (cumulative[i - 1]?.[1] ?? 0));
    counts.push(count - (cumulative.at(-1)?.[1] ?? 0));
    const buckets = { boundaries: cumulative.map(([bound]) => bound), counts };
    return { startTime, endTime, attributes, value: { buckets, sum, count } };
  });
}

function unitOf(name: string): string {
  if (/_seconds(_total)?$/.test(name)) return 's';
  return /_bytes(_total)?$/.test(name) ? 'By' : '1';
}

function timeOf(milliseconds: number): Time {
  return [Math.floor(milliseconds / 1000), (milliseconds % 1000) * 1e6];
}
