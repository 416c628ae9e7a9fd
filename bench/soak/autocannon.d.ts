/** What the soak uses of autocannon, which has no types of its own. */
declare module 'autocannon' {
  interface RequestOptions {
    readonly path: string;
    readonly headers: Readonly<Record<string, string>>;
  }

  interface Options {
    readonly url: string;
    readonly connections: number;
    /** In seconds. */
    readonly duration?: number;
    /** Requests, in place of a duration. */
    readonly amount?: number;
    readonly headers?: Readonly<Record<string, string>>;
    readonly requests?: readonly {
      readonly setupRequest: (request: RequestOptions) => RequestOptions;
    }[];
  }

  interface Figures {
    readonly average: number;
    readonly p50: number;
    readonly p99: number;
  }

  interface Result {
    readonly requests: Figures & { readonly total: number };
    /** In milliseconds. */
    readonly latency: Figures;
    /** Bytes a second. */
    readonly throughput: Figures;
    readonly errors: number;
    readonly timeouts: number;
    readonly non2xx: number;
    readonly '2xx': number;
    readonly duration: number;
  }

  export default function autocannon(options: Options): Promise<Result>;
}
