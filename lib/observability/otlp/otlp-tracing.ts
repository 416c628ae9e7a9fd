/** Spans of rounds, sent over OTLP. */
import { NO_TRACING, type RoundSpan, type RoundTracing, roundTraceIds } from '../tracing.js';
import { type Environment, otlpSettings } from './otlp-settings.js';
import { type ImportPackage, loadTracePackages } from './packages.js';
import { resourceOf, type Service } from './resource.js';

const CLOSE_LIMIT_MS = 5000;

/**
 * Tracing as the environment asks for it; none where it asks for nothing.
 *
 * @throws as `otlpSettings` and `loadTracePackages`
 */
export async function tracingFrom(
  environment: Environment,
  service: Service,
  importPackage?: ImportPackage,
): Promise<RoundTracing> {
  const protocol = otlpSettings(environment).traces;
  if (protocol === undefined) return NO_TRACING;
  const { api, resources, sdk, exporter } = await loadTracePackages(protocol, importPackage);
  /** The round's own ids for its root, and nobody's for all others. */
  let root: { readonly traceId: string; readonly rootSpanId: string } | undefined;
  const random = new sdk.RandomIdGenerator();
  const provider = new sdk.BasicTracerProvider({
    resource: resourceOf(resources, service),
    spanProcessors: [new sdk.BatchSpanProcessor(new exporter.OTLPTraceExporter())],
    idGenerator: {
      generateTraceId: () => root?.traceId ?? random.generateTraceId(),
      generateSpanId: () => root?.rootSpanId ?? random.generateSpanId(),
    },
  });
  const tracer = provider.getTracer('tensorguard-native', service.version);

  function start({ plan, name, startMs, attributes = {}, isRoot = false }: RoundSpan) {
    const ids = roundTraceIds(plan);
    // Small numbers are taken for times since the process began.
    const options = { startTime: new Date(startMs), attributes: { 'tensorguard.plan': plan, ...attributes } };
    if (!isRoot) {
      const parent = { traceId: ids.traceId, spanId: ids.rootSpanId, traceFlags: api.TraceFlags.SAMPLED };
      const context = api.trace.setSpanContext(api.ROOT_CONTEXT, { ...parent, isRemote: true });
      return tracer.startSpan(name, options, context);
    }
    root = ids;
    try {
      return tracer.startSpan(name, options, api.ROOT_CONTEXT);
    } finally {
      root = undefined;
    }
  }

  return {
    span(round) {
      const span = start(round);
      const { failure, endMs } = round;
      if (failure !== undefined) {
        span.setAttribute('error.type', failure);
        span.setStatus({ code: api.SpanStatusCode.ERROR, message: failure });
      }
      span.end(new Date(endMs));
    },
    async close() {
      // A collector that is away must not keep a process from ending.
      await limited(provider.shutdown(), CLOSE_LIMIT_MS);
    },
  };
}

/** Waits for a promise, for so long, and for its success or failure alike. */
export async function limited(work: Promise<unknown>, limitMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([work.then(() => undefined).catch(() => undefined), limit]);
  clearTimeout(timer);
}
