/** Where the NATS servers are, who this is to them, and what the streams are called. */
import { z } from 'zod';

const path = z.string().min(1);

const credentialsSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('none') }),
  /** A `.creds` file as `nsc` makes it: a user's JWT and seed. */
  z.strictObject({ kind: z.literal('creds-file'), path }),
  /** A file that holds an nkey's seed. */
  z.strictObject({ kind: z.literal('nkey-file'), path }),
]);

const tlsSchema = z.strictObject({
  /** Certificates to trust instead of the system's. */
  caFile: path.optional(),
  /** This client's certificate and key, where the servers ask for one. */
  certFile: path.optional(),
  keyFile: path.optional(),
});

export const jetStreamConfigSchema = z.strictObject({
  /** `host:port`, `nats://...` or `tls://...`: some servers of one cluster. Credentials do not belong into them. */
  servers: z
    .array(z.string().regex(/^((nats|tls):\/\/)?[^@/\s]+$/))
    .min(1)
    .max(64),
  /** Names the streams: `<prefix>-blobs`, `<prefix>-work` and the key-value bucket `<prefix>`. */
  prefix: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,32}$/)
    .default('tensorguard'),
  /** Copies of everything, on as many servers: 1, 3 or 5. The same for all that share the store. */
  replicas: z.union([z.literal(1), z.literal(3), z.literal(5)]).default(1),
  credentials: credentialsSchema.default({ kind: 'none' }),
  tls: tlsSchema.optional(),
  /** How long an operation waits through an outage. */
  operationTimeoutMs: z.int().min(500).max(60_000).default(10_000),
});

export type JetStreamConfig = z.infer<typeof jetStreamConfigSchema>;
export type JetStreamOptions = z.input<typeof jetStreamConfigSchema>;
