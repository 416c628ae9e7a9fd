/** A whole soak: a fleet, servers, rounds. Whatever was violated is in the result. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SoakFleet } from './fleet.js';
import type { SoakOptions } from './options.js';
import { measureReadPaths, type ReadFigures } from './read-paths.js';
import { type Pace, type RoundFigures, SoakRound } from './round.js';
import { sealUpdates } from './sealed-updates.js';
import { type Kill, Servers } from './servers.js';

export interface SoakResult {
  readonly options: SoakOptions;
  /** Parameters that the adapter has in fact. */
  readonly values: number;
  readonly rounds: readonly RoundFigures[];
  readonly kills: readonly Kill[];
  /** The most memory that one server process held in the rounds. */
  readonly peakBytes: number;
  /** Empty unless asked for. */
  readonly reads: readonly ReadFigures[];
  /** What servers logged as errors, the ends of it. */
  readonly serverErrors: readonly string[];
  readonly violations: readonly string[];
}

/** Updates that are sealed to see how fast this machine is. */
const TRIAL_UPDATES = 3;
/** Until a round was measured: that of two slow cores, by mebibytes. */
const FIRST_RECEIVE_MS = 12;
const FIRST_RECEIVE_MS_PER_MIB = 15;

export async function runSoak(options: SoakOptions): Promise<SoakResult> {
  const directory = await mkdtemp(join(tmpdir(), 'tensorguard-soak-'));
  try {
    options.progress(`${options.robots} robots: making the fleet`);
    const fleet = await SoakFleet.create(directory, options.robots, options.values);
    const servers = await Servers.start(fleet, options);
    try {
      return await runRounds(fleet, servers, options);
    } finally {
      await servers.stop();
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function runRounds(fleet: SoakFleet, servers: Servers, options: SoakOptions): Promise<SoakResult> {
  let pace = await trial(fleet, options);
  const rounds: RoundFigures[] = [];
  for (let round = 1; round <= options.rounds; round += 1) {
    const figures = await new SoakRound(fleet, servers, options, round).run(pace);
    rounds.push(figures);
    pace = {
      sealMs: figures.sealMsPerUpdate,
      receiveMs: figures.receivingMs / Math.max(1, figures.acknowledged),
    };
  }
  const last = rounds.at(-1);
  const { peakBytes } = servers;
  if (options.read) options.progress('Reading');
  const reads = options.read && last !== undefined ? await measureReadPaths(fleet, servers, last.plan) : [];
  return {
    options,
    reads,
    values: rounds[0]?.average.values ?? 0,
    rounds,
    kills: servers.kills,
    peakBytes,
    serverErrors: servers.processes
      .map(({ errors }) => errors.join('').slice(-4000))
      .filter((text) => text !== ''),
    violations: [
      ...rounds.flatMap(({ violations }) => violations),
      ...reads
        .filter(({ failed }) => failed > 0)
        .map(({ path, failed }) => `${failed} requests for ${path} failed`),
    ],
  };
}

/** How long this machine takes to seal, before a deadline is set. */
async function trial(fleet: SoakFleet, { seed }: SoakOptions): Promise<Pace> {
  // A round that no server hears of.
  const plan = await fleet.plan(1, Date.now() + 3_600_000);
  const started = performance.now();
  const [update] = await sealUpdates(fleet.at('trial'), plan, fleet.robots.slice(0, TRIAL_UPDATES), seed);
  const sealMs = (performance.now() - started) / TRIAL_UPDATES;
  const mebibytes = (update?.sizeBytes ?? 0) / 2 ** 20;
  return { sealMs, receiveMs: FIRST_RECEIVE_MS + FIRST_RECEIVE_MS_PER_MIB * mebibytes };
}
