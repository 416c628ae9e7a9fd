import { expect } from 'chai';
import { otlpSettings } from '../../../lib/observability/otlp/otlp-settings.js';
import { loadMetricPackages, loadTracePackages } from '../../../lib/observability/otlp/packages.js';
import { expectRefusal } from '../../support/refusals.js';

const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' };

describe('OpenTelemetry', () => {
  it('is off unless the standard variables ask for it, or where they switch it off', () => {
    expect(otlpSettings({})).to.deep.equal({});
    expect(otlpSettings({ OTEL_SERVICE_NAME: 'x', OTEL_EXPORTER_OTLP_ENDPOINT: ' ' })).to.deep.equal({});
    expect(otlpSettings({ ...ENDPOINT, OTEL_SDK_DISABLED: 'true' })).to.deep.equal({});
    expect(
      otlpSettings({ ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none', OTEL_METRICS_EXPORTER: 'none' }),
    ).to.deep.equal({});
  });

  it('sends what they ask for, as they ask for it', () => {
    expect(otlpSettings(ENDPOINT)).to.deep.equal({ traces: 'http/protobuf', metrics: 'http/protobuf' });
    expect(otlpSettings({ OTEL_TRACES_EXPORTER: 'otlp' })).to.deep.equal({ traces: 'http/protobuf' });
    expect(otlpSettings({ OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: 'http://x' })).to.deep.equal({
      metrics: 'http/protobuf',
    });
    const mixed = { ...ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' };
    expect(otlpSettings({ ...mixed, OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/protobuf' })).to.deep.equal({
      traces: 'http/protobuf',
      metrics: 'http/json',
    });
  });

  it('refuses what it cannot do, rather than to send nothing', async () => {
    await expectRefusal('telemetry.bad-exporter', () => otlpSettings({ OTEL_TRACES_EXPORTER: 'zipkin' }));
    await expectRefusal('telemetry.bad-protocol', () =>
      otlpSettings({ ...ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }),
    );
  });

  it('says which package to install where one is missing', async () => {
    const without = (missing: string) => async (name: string) => {
      if (name === missing) throw new Error(`Cannot find package '${name}'`);
      return {};
    };
    const traces = '@opentelemetry/exporter-trace-otlp-proto';
    const error = await expectRefusal('telemetry.packages', () =>
      loadTracePackages('http/protobuf', without(traces)),
    );
    expect(error.message).to.include(`npm install ${traces}@`);
    const metrics = '@opentelemetry/exporter-metrics-otlp-http';
    await expectRefusal('telemetry.packages', () => loadMetricPackages('http/json', without(metrics)));
  });

  it('has every package that it may load among the optional ones, at the version that it names', async () => {
    for (const protocol of ['http/json', 'http/protobuf'] as const) {
      expect((await loadTracePackages(protocol)).exporter.OTLPTraceExporter).to.be.a('function');
      expect((await loadMetricPackages(protocol)).exporter.OTLPMetricExporter).to.be.a('function');
    }
  });
});
