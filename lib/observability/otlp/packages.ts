/** OpenTelemetry's packages, loaded when they are asked for: a robot, and most servers, do without. */
import { EnvironmentError } from '../../errors.js';
import type { OtlpProtocol } from './otlp-settings.js';

/** Imports a package by its name; replaced in tests. */
export type ImportPackage = (name: string) => Promise<unknown>;

const IMPORT: ImportPackage = (name) => import(name);
/** They fit each other, and no others (package.json). */
const VERSIONS: Readonly<Record<string, string>> = { api: '1.9.1', resources: '2.12.0' };
const SDK_VERSION = '2.12.0';
const EXPORTER_VERSION = '0.223.0';

interface Common {
  readonly api: typeof import('@opentelemetry/api');
  readonly resources: typeof import('@opentelemetry/resources');
}

export interface TracePackages extends Common {
  readonly sdk: typeof import('@opentelemetry/sdk-trace-base');
  readonly exporter: typeof import('@opentelemetry/exporter-trace-otlp-http');
}

export interface MetricPackages extends Common {
  readonly sdk: typeof import('@opentelemetry/sdk-metrics');
  readonly exporter: typeof import('@opentelemetry/exporter-metrics-otlp-http');
}

/** @throws EnvironmentError `telemetry.packages` if they are not installed */
export async function loadTracePackages(
  protocol: OtlpProtocol,
  importPackage: ImportPackage = IMPORT,
): Promise<TracePackages> {
  return {
    ...(await common(importPackage)),
    sdk: await load('sdk-trace-base', SDK_VERSION, importPackage),
    // Both have a class of one name and one shape.
    exporter: await load(`exporter-trace-otlp-${suffix(protocol)}`, EXPORTER_VERSION, importPackage),
  };
}

/** @throws EnvironmentError `telemetry.packages` if they are not installed */
export async function loadMetricPackages(
  protocol: OtlpProtocol,
  importPackage: ImportPackage = IMPORT,
): Promise<MetricPackages> {
  return {
    ...(await common(importPackage)),
    sdk: await load('sdk-metrics', SDK_VERSION, importPackage),
    exporter: await load(`exporter-metrics-otlp-${suffix(protocol)}`, EXPORTER_VERSION, importPackage),
  };
}

async function common(importPackage: ImportPackage): Promise<Common> {
  return {
    api: await load('api', VERSIONS['api'] as string, importPackage),
    resources: await load('resources', VERSIONS['resources'] as string, importPackage),
  };
}

function suffix(protocol: OtlpProtocol): string {
  return protocol === 'http/json' ? 'http' : 'proto';
}

async function load<T>(name: string, version: string, importPackage: ImportPackage): Promise<T> {
  try {
    return (await importPackage(`@opentelemetry/${name}`)) as T;
  } catch (cause) {
    throw new EnvironmentError(
      'telemetry.packages',
      `OTEL_* variables ask for OpenTelemetry, which needs the package @opentelemetry/${name}, and it is not here. ` +
        `Run: npm install @opentelemetry/${name}@${version}; or unset them.`,
      { cause },
    );
  }
}
