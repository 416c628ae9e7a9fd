/**
 * One trace a round, across processes that never talk to each other about it: its id follows from the plan's fingerprint, which
 * everybody who has a part in the round has.
 */
import { createHash } from 'node:crypto';

export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

export interface RoundSpan {
  /** Fingerprint of the plan, 64 hexadecimal digits. */
  readonly plan: string;
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes?: SpanAttributes;
  /** The code of the error that it ended with. */
  readonly failure?: string;
  /** That of the round itself, which all others are below: one process leaves it. */
  readonly isRoot?: boolean;
}

export interface RoundTracing {
  /** Returns at once and does not throw. */
  span(span: RoundSpan): void;
  /** Sends what was left, within a few seconds. */
  close(): Promise<void>;
}

export const NO_TRACING: RoundTracing = { span: () => undefined, close: async () => undefined };

export interface RoundTraceIds {
  /** 32 and 16 hexadecimal digits (W3C Trace Context). */
  readonly traceId: string;
  readonly rootSpanId: string;
}

/** A fingerprint is in the clear wherever a round is spoken of: so may its hash be. */
export function roundTraceIds(plan: string): RoundTraceIds {
  const digest = createHash('sha256').update(`tensorguard trace ${plan}`).digest('hex');
  return { traceId: digest.slice(0, 32), rootSpanId: digest.slice(32, 48) };
}

/** Runs `work` and leaves a span of it, whatever becomes of it. */
export async function traced<T>(
  tracing: RoundTracing,
  { plan, name, attributes }: Pick<RoundSpan, 'plan' | 'name' | 'attributes'>,
  work: () => Promise<T>,
): Promise<T> {
  const startMs = Date.now();
  const end = (failure?: string): void =>
    tracing.span({
      ...{ plan, name, startMs, endMs: Date.now() },
      ...(attributes !== undefined && { attributes }),
      ...(failure !== undefined && { failure }),
    });
  try {
    const result = await work();
    end();
    return result;
  } catch (error) {
    const { code } = error as { readonly code?: unknown };
    end(typeof code === 'string' ? code : 'internal.unexpected');
    throw error;
  }
}
