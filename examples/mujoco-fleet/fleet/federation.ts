/** A way to make one adapter of many: what the fleet's rounds have in common, however they are averaged. */

export interface RoundInput {
  /** Counted from 1. */
  readonly round: number;
  /** Directory of the adapter that everybody trained from. */
  readonly release: string;
  /** Directories of that adapter as each robot has it; absent where they all read `release`. */
  readonly own?: readonly string[] | undefined;
  /** Directories of what the robots trained, one a robot. */
  readonly trained: readonly string[];
  /** Directory of what the coordinator trained at its own site: what the plan's bounds are sized by. */
  readonly pilot: string;
  /** Robots, by index, whose clients leave out the clip. Nobody clips in the clear, so that there it changes nothing. */
  readonly unclipped?: ReadonlySet<number>;
  /** Directory to write the candidate to. */
  readonly out: string;
}

/** What a round cost and did, as far as its kind knows. */
export interface RoundFacts {
  /** Of one robot, all of its file. */
  readonly updateBytes?: number;
  /** Norm that every robot's delta is clipped to. */
  readonly clip?: number;
  /** What each robot's delta was multiplied by to meet the clip; 1 where it was left out. */
  readonly clipFactors?: readonly number[];
  /** Values beyond the largest level, of all robots. */
  readonly saturatedValues?: number;
  /** Of the most that a robot has spent in all rounds so far, at the policy's delta. */
  readonly epsilonSpent?: number;
}

/** What robots need to know where to train from. */
export interface StartInput {
  /** Counted from 1. */
  readonly round: number;
  readonly release: string;
  /** Directory to write adapters below. */
  readonly directory: string;
}

export interface Federation {
  /** Directories of the adapters that robots train from and seal against, one a robot; absent where that is the release. */
  starts?(input: StartInput): Promise<readonly string[]>;
  /** Averages what the robots trained and writes the candidate for the next release. */
  average(input: RoundInput): Promise<RoundFacts>;
}
