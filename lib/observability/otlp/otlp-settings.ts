/** What the standard variables of OpenTelemetry ask for. Endpoints, headers, batches and timeouts its packages read themselves. */
import { ParameterError } from '../../errors.js';

export type Environment = Readonly<Record<string, string | undefined>>;
export type OtlpProtocol = 'http/protobuf' | 'http/json';
export type OtlpSignal = 'traces' | 'metrics';

export interface OtlpSettings {
  /** Absent: they are not sent. */
  readonly traces?: OtlpProtocol;
  readonly metrics?: OtlpProtocol;
}

/** @throws ParameterError `telemetry.bad-exporter`, `telemetry.bad-protocol` */
export function otlpSettings(environment: Environment): OtlpSettings {
  if (environment['OTEL_SDK_DISABLED']?.trim().toLowerCase() === 'true') return {};
  const [traces, metrics] = [protocolOf('traces', environment), protocolOf('metrics', environment)];
  return { ...(traces !== undefined && { traces }), ...(metrics !== undefined && { metrics }) };
}

function protocolOf(signal: OtlpSignal, environment: Environment): OtlpProtocol | undefined {
  const read = (name: string): string | undefined => environment[name]?.trim() || undefined;
  const variable = `OTEL_${signal.toUpperCase()}_EXPORTER`;
  const exporter = read(variable);
  if (exporter === 'none') return undefined;
  if (exporter !== undefined && exporter !== 'otlp') {
    throw new ParameterError(
      'telemetry.bad-exporter',
      `${variable} is "${exporter}"; it may be "otlp" or "none". Metrics for Prometheus are at /metrics, whatever it says.`,
    );
  }
  const signalPrefix = `OTEL_EXPORTER_OTLP_${signal.toUpperCase()}`;
  const endpoint = read(`${signalPrefix}_ENDPOINT`) ?? read('OTEL_EXPORTER_OTLP_ENDPOINT');
  if (exporter === undefined && endpoint === undefined) return undefined;
  const protocol = read(`${signalPrefix}_PROTOCOL`) ?? read('OTEL_EXPORTER_OTLP_PROTOCOL') ?? 'http/protobuf';
  if (protocol === 'http/protobuf' || protocol === 'http/json') return protocol;
  throw new ParameterError(
    'telemetry.bad-protocol',
    `The protocol of OTLP is "${protocol}" (OTEL_EXPORTER_OTLP_PROTOCOL); it may be "http/protobuf" or "http/json".`,
  );
}
