/**
 * Episode counts that the robot's controller leaves in a directory, a file at a time: JSON as `episodeCountsSchema` has it,
 * written under another name (`.tmp`) and renamed to `*.json` when it is whole. A file is taken by renaming it, which no two
 * can do, and removed once a report has it on the disk: nothing is counted twice, whatever dies in between.
 */
import { randomUUID } from 'node:crypto';
import { readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../durable/private-files.js';
import { type EpisodeCounts, episodeCountsSchema } from '../../observability/episode-counts.js';

const MAX_FILE_BYTES = 64 << 10;
const LEFT = /^[^.].*\.json$/;
const TAKEN = /^\.taken-[0-9a-f-]{36}$/;
/** What a report may count at most; the rest waits for the next one. */
const MAX_EPISODES = 1_000_000;

export interface TakenCounts {
  readonly counts: EpisodeCounts;
  /** Names of the files, to be removed once the counts are kept elsewhere. */
  readonly files: readonly string[];
}

export interface BadFile {
  readonly file: string;
  readonly message: string;
}

export class TelemetryFiles {
  constructor(
    private readonly directory: string,
    private readonly onBadFile: (bad: BadFile) => void,
  ) {}

  /** Everything that was left since, and what an earlier process took without keeping it; undefined where there is nothing. */
  async take(): Promise<TakenCounts | undefined> {
    for (const name of (await this.#names()).filter((each) => LEFT.test(each))) await this.#claim(name);
    let counts: EpisodeCounts | undefined;
    const files: string[] = [];
    for (const name of (await this.#names()).filter((each) => TAKEN.test(each)).sort()) {
      const read = await this.#read(name);
      if (read === undefined) continue;
      const sum = counts === undefined ? read : added(counts, read);
      if (sum.episodes > MAX_EPISODES) break;
      counts = sum;
      files.push(name);
    }
    return counts && { counts, files };
  }

  async remove(files: readonly string[]): Promise<void> {
    for (const name of files.filter((each) => TAKEN.test(each)))
      await rm(join(this.directory, name), { force: true });
  }

  async #claim(name: string): Promise<void> {
    try {
      await rename(join(this.directory, name), join(this.directory, `.taken-${randomUUID()}`));
    } catch (error) {
      // The controller replaced or removed it meanwhile.
      if (errorCode(error) !== 'ENOENT') throw error;
    }
  }

  /** A file that is none is said once and put aside: it must not hold up the others. */
  async #read(name: string): Promise<EpisodeCounts | undefined> {
    const path = join(this.directory, name);
    try {
      if ((await stat(path)).size > MAX_FILE_BYTES)
        throw new RangeError(`it has more than ${MAX_FILE_BYTES} bytes`);
      return episodeCountsSchema.parse(JSON.parse(await readFile(path, 'utf8')));
    } catch (error) {
      const isOurs = error instanceof SyntaxError || error instanceof RangeError || isInvalid(error);
      if (!isOurs) throw error;
      const aside = `${name.slice(1)}.refused`;
      await rename(path, join(this.directory, aside));
      this.onBadFile({ file: aside, message: (error as Error).message });
      return undefined;
    }
  }

  async #names(): Promise<string[]> {
    try {
      return await readdir(this.directory);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return [];
      throw error;
    }
  }
}

function isInvalid(error: unknown): boolean {
  return error instanceof Error && error.name === 'ZodError';
}

function added(left: EpisodeCounts, right: EpisodeCounts): EpisodeCounts {
  const klDivergence = addedMoments(left.klDivergence, right.klDivergence);
  const latencyMs = addedMoments(left.latencyMs, right.latencyMs);
  return {
    episodes: left.episodes + right.episodes,
    successes: left.successes + right.successes,
    violations: left.violations + right.violations,
    collisions: left.collisions + right.collisions,
    ...(klDivergence !== undefined && { klDivergence }),
    ...(latencyMs !== undefined && { latencyMs }),
  };
}

type Moments = NonNullable<EpisodeCounts['latencyMs']>;

/** Each carries its own count. */
function addedMoments(left: Moments | undefined, right: Moments | undefined): Moments | undefined {
  if (left === undefined || right === undefined) return left ?? right;
  return {
    count: left.count + right.count,
    sum: left.sum + right.sum,
    sumOfSquares: left.sumOfSquares + right.sumOfSquares,
  };
}
