/** A server's metrics, sent over OTLP at intervals (`OTEL_METRIC_EXPORT_INTERVAL`). */
import type { Registry } from 'prom-client';
import { type Environment, otlpSettings } from './otlp-settings.js';
import { limited } from './otlp-tracing.js';
import { type ImportPackage, loadMetricPackages } from './packages.js';
import { prometheusProducer } from './prometheus-producer.js';
import { resourceOf, type Service } from './resource.js';

const DEFAULT_INTERVAL_MS = 60_000;
const CLOSE_LIMIT_MS = 5000;

export interface MetricsExport {
  /** Sends them once more, within a few seconds. */
  close(): Promise<void>;
}

/**
 * Begins to send what a registry has, if the environment asks for it.
 *
 * @param refresh brings gauges up to date before they are read
 * @throws as `otlpSettings` and `loadMetricPackages`
 */
export async function metricsExportFrom(
  environment: Environment,
  service: Service,
  registry: Registry,
  refresh: () => Promise<void>,
  importPackage?: ImportPackage,
): Promise<MetricsExport | undefined> {
  const protocol = otlpSettings(environment).metrics;
  if (protocol === undefined) return undefined;
  const packages = await loadMetricPackages(protocol, importPackage);
  const { resources, sdk, exporter } = packages;
  const interval = Number(environment['OTEL_METRIC_EXPORT_INTERVAL']);
  const exportIntervalMillis = interval > 0 ? interval : DEFAULT_INTERVAL_MS;
  const reader = new sdk.PeriodicExportingMetricReader({
    exporter: new exporter.OTLPMetricExporter(),
    exportIntervalMillis,
    exportTimeoutMillis: Math.min(exportIntervalMillis, CLOSE_LIMIT_MS),
    metricProducers: [prometheusProducer(packages, registry, refresh)],
  });
  const provider = new sdk.MeterProvider({ resource: resourceOf(resources, service), readers: [reader] });
  return { close: () => limited(provider.shutdown(), CLOSE_LIMIT_MS) };
}
