/** What a soak is asked to do. */

export interface SoakOptions {
  readonly robots: number;
  /** Parameters of the adapter; the largest whole number of modules that has no more, 320 at least. */
  readonly values: number;
  readonly rounds: number;
  /** Of the embedded store there is one server; of JetStream any number. */
  readonly store: 'embedded' | 'jetstream';
  readonly servers: number;
  /** kill -9 while updates are received, in each round. */
  readonly killsReceiving: number;
  /** Whether a server is killed in the middle of each round's sum. */
  readonly killSumming: boolean;
  /** JetStream: whether nats-server is killed and started again in the middle of each round's uploads. */
  readonly restartNats: boolean;
  /** How long a silent worker keeps a sum: what a kill in mid-sum costs at most. */
  readonly sumLeaseMs: number;
  /** Robots that send at one time. */
  readonly concurrency: number;
  /** Decides who drops out, who sends what, and when a server dies. */
  readonly seed: string;
  /** Whether the owner recomputes the sum from the signed updates. */
  readonly verify: boolean;
  /** Whether reading is measured after the rounds. */
  readonly read: boolean;
  /** Told what is being done. */
  readonly progress: (line: string) => void;
}

export const DEFAULT_SOAK: Omit<SoakOptions, 'progress'> = {
  robots: 1000,
  values: 740_000,
  rounds: 2,
  store: 'embedded',
  servers: 1,
  killsReceiving: 2,
  killSumming: true,
  restartNats: false,
  sumLeaseMs: 5_000,
  concurrency: 16,
  seed: 'soak',
  verify: true,
  read: false,
};

/** Shares of the robots, as the issue that asked for the soak has them. */
export const DROPOUTS = 0.2;
export const DUPLICATES = 0.05;
export const CORRUPT = 0.05;
export const LATE = 0.05;
