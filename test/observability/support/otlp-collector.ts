/** Takes what is sent over OTLP as JSON, on the loopback. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';

const valueSchema = z.looseObject({ stringValue: z.string().optional() });
const attributesSchema = z.array(z.object({ key: z.string(), value: valueSchema }));
const resourceSchema = z.looseObject({ attributes: attributesSchema });

const spanSchema = z.looseObject({
  traceId: z.string(),
  spanId: z.string(),
  parentSpanId: z.string().optional(),
  name: z.string(),
  startTimeUnixNano: z.string(),
  endTimeUnixNano: z.string(),
  attributes: attributesSchema,
  status: z.looseObject({ code: z.int().optional() }),
});
const tracesSchema = z.object({
  resourceSpans: z.array(
    z.looseObject({
      resource: resourceSchema,
      scopeSpans: z.array(z.looseObject({ spans: z.array(spanSchema) })),
    }),
  ),
});
const metricsSchema = z.object({
  resourceMetrics: z.array(
    z.looseObject({
      resource: resourceSchema,
      scopeMetrics: z.array(
        z.looseObject({ metrics: z.array(z.looseObject({ name: z.string(), unit: z.string().optional() })) }),
      ),
    }),
  ),
});

export type CollectedSpan = z.infer<typeof spanSchema> & { readonly service: string | undefined };

function serviceOf({ attributes }: z.infer<typeof resourceSchema>): string | undefined {
  return attributes.find(({ key }) => key === 'service.name')?.value.stringValue;
}

export class OtlpCollector {
  readonly spans: CollectedSpan[] = [];
  /** Of every export, by their names. */
  readonly metrics: Map<string, unknown>[] = [];

  private constructor(private readonly server: Server) {}

  static async start(): Promise<OtlpCollector> {
    const server = createServer();
    const collector = new OtlpCollector(server);
    server.on('request', (request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        collector.#take(request.url ?? '', JSON.parse(Buffer.concat(parts).toString()));
        response.setHeader('content-type', 'application/json').end('{}');
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return collector;
  }

  /** The variables by which this process sends to it. */
  get environment(): Record<string, string> {
    const { port } = this.server.address() as AddressInfo;
    return {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    };
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  #take(url: string, body: unknown): void {
    if (url === '/v1/traces') {
      for (const { resource, scopeSpans } of tracesSchema.parse(body).resourceSpans) {
        for (const span of scopeSpans.flatMap(({ spans }) => spans)) {
          this.spans.push({ ...span, service: serviceOf(resource) });
        }
      }
    }
    if (url === '/v1/metrics') {
      const { resourceMetrics } = metricsSchema.parse(body);
      const all = resourceMetrics.flatMap(({ scopeMetrics }) =>
        scopeMetrics.flatMap(({ metrics }) => metrics),
      );
      this.metrics.push(new Map(all.map((metric) => [metric.name, metric])));
    }
  }
}

/** Sets variables of this process, which OpenTelemetry's packages read. @returns sets them back */
export function withEnvironment(variables: Readonly<Record<string, string>>): () => void {
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, variables);
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
}
