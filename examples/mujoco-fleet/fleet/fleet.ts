/** The fleet and its rounds: train, average; whether what comes out is released is for somebody else to say. */
import { join } from 'node:path';
import { ProvingGround } from '../evaluate.js';
import { readLora, writeLora } from '../policy/adapter-files.js';
import { distanceOf, type Lora } from '../policy/lora.js';
import type { Network } from '../policy/network.js';
import { firstRelease, pretrainedPolicy } from '../policy/pretrained.js';
import { pilotSite, trainingSites, unseenSites } from '../sim/sites.js';
import type { Attack } from './attacks.js';
import type { Federation, RoundFacts } from './federation.js';
import { LocalTraining, type Robot } from './local-training.js';
import { meanLora } from './plain-average.js';

export interface FleetOptions {
  /** Where the pre-trained policy is, or will be. */
  readonly base: string;
  readonly robots: number;
  readonly unseenSites: number;
}

export interface StepInput {
  /** Counted from 1. */
  readonly round: number;
  /** Directory of the adapter that the robots run. */
  readonly release: string;
  /** Directories of that adapter as each robot opened it; absent where they all read `release`. */
  readonly running?: readonly string[] | undefined;
  /** Directory for what the round leaves behind; of this round alone. */
  readonly directory: string;
  /** Robots that mean harm, by their index. */
  readonly attacks?: ReadonlyMap<number, Attack>;
}

export interface StepOutcome {
  /** Directory of the adapter that the round came to. */
  readonly candidate: string;
  readonly facts: RoundFacts;
  /**
   * |averaged delta - plain mean of the deltas| / |plain mean|: what rounding, noise, clip and what is sent later make of
   * it. Only a simulation can know it.
   */
  readonly deltaError: number;
}

async function deltaError(release: string, trained: readonly string[], candidate: string): Promise<number> {
  const read = async (directory: string): Promise<Lora> => (await readLora(directory)).lora;
  const mean = meanLora(await Promise.all(trained.map(read)));
  return distanceOf(await read(candidate), mean) / distanceOf(mean, await read(release));
}

/** Trained from one policy at sites of their own. */
export class Fleet {
  private readonly training: LocalTraining;

  private constructor(
    private readonly options: FleetOptions,
    /** The pre-trained policy. */
    readonly network: Network,
    readonly ground: ProvingGround,
  ) {
    this.training = new LocalTraining(network);
  }

  /** Pre-trains the policy, unless that has been done. The caller closes the fleet. */
  static async open(options: FleetOptions): Promise<Fleet> {
    const network = await pretrainedPolicy(options.base);
    const sites = {
      training: trainingSites(options.robots),
      unseen: unseenSites(options.unseenSites),
    };
    return new Fleet(options, network, new ProvingGround(sites));
  }

  robots(attacks?: ReadonlyMap<number, Attack>): Robot[] {
    return this.ground.sites.training.map((site, i) => {
      const attack = attacks?.get(i);
      return { site, ...(attack !== undefined && { attack }) };
    });
  }

  /** Writes release 0: the pre-trained policy, unchanged. */
  async writeFirstRelease(directory: string): Promise<Lora> {
    const lora = firstRelease(this.network);
    await writeLora(directory, lora, this.options.base);
    return lora;
  }

  /** Trains one robot from an adapter that it has. */
  train(robot: Robot, from: Lora, round: number): Promise<Lora> {
    return this.training.train(robot, from, round);
  }

  /**
   * One round: every robot trains from the release, and what they trained is averaged into a candidate. The release is left
   * as it is: the caller passes the candidate to the next round, or does not.
   */
  async step(
    federation: Federation,
    { round, release, running, directory, attacks }: StepInput,
  ): Promise<StepOutcome> {
    const hand = async (robot: Robot, from: string, name: string): Promise<string> => {
      const path = join(directory, name);
      const { lora } = await readLora(from);
      await writeLora(path, await this.train(robot, lora, round), this.options.base);
      return path;
    };
    const own = running ?? (await federation.starts?.({ round, release, directory }));
    const trained: string[] = [];
    for (const [i, robot] of this.robots(attacks).entries())
      trained.push(await hand(robot, own?.[i] ?? release, `robot-${i + 1}`));
    const pilot = await hand({ site: pilotSite() }, release, 'pilot');
    const candidate = join(directory, 'candidate');
    const unclipped = new Set(
      [...(attacks ?? [])].flatMap(([i, { ignoresClip }]) => (ignoresClip === true ? [i] : [])),
    );
    const facts = await federation.average({
      round,
      release,
      own,
      trained,
      pilot,
      unclipped,
      out: candidate,
    });
    return { candidate, facts, deltaError: await deltaError(release, trained, candidate) };
  }

  close(): void {
    this.ground.close();
  }
}
