/**
 * A fleet at work whose robots learn from each other: every round's average has to pass the owner's gate, is then sealed to
 * every robot's key, and comes to them in steps, or goes back.
 */
import { join } from 'node:path';
import { VerdictRecords } from '../../../lib/evaluation/verdict-records.js';
import { openRole, readRolePolicy } from '../../../lib/index.js';
import type { ReleaseReference } from '../../../lib/package/release-reference.js';
import { newRolloutHistory, type RolloutHistory } from '../../../lib/rollout/history.js';
import type { ProvingGround } from '../evaluate.js';
import type { Attack } from '../fleet/attacks.js';

import { EncryptedFleet, type EncryptedFleetOptions, ROLE_OPTIONS } from '../fleet/encrypted-fleet.js';
import type { RoundFacts } from '../fleet/federation.js';
import type { Fleet } from '../fleet/fleet.js';
import { copyDirectory } from './copied-directory.js';
import { DeployedRobot } from './deployed-robot.js';
import { type GateDecision, judgeCandidate } from './owner-gate.js';
import { type SealedRelease, sealRelease } from './owner-releases.js';
import { planWithFloors } from './rollout-plan.js';
import type { Stage } from './safety-stages.js';
import { addService, type FleetService, type Served } from './service-record.js';
import { type PassedVerdict, type RolloutReport, StagedRollout } from './staged-rollout.js';

const FIRST_DAY_MS = Date.UTC(2026, 0, 1);
const DAY_MS = 86_400_000;

export interface DeployedFleetOptions {
  readonly fleet: Fleet;
  /** The owner's copies of sites, which the gate tries candidates at. */
  readonly gateGround: ProvingGround;
  readonly encrypted: EncryptedFleetOptions;
  /** Of this fleet alone; holds `encrypted.directory`. */
  readonly directory: string;
  readonly episodesAReport: number;
  readonly firstGateEpisodes?: number | undefined;
}

/** Where a candidate ended. */
export interface Adopted {
  readonly gate: GateDecision;
  /** Absent where the gate let nothing through. */
  readonly rollout?: Omit<RolloutReport, 'history' | 'service' | 'endMs'>;
}

export interface DeployedRound extends Adopted {
  readonly round: number;
  readonly facts: RoundFacts;
  readonly deltaError: number;
  /** Directory of what the round came to. */
  readonly candidate: string;
}

/** What a fleet knows, beside what lies in its directories. */
interface Memory {
  readonly history: RolloutHistory;
  /** The owner's directory of the adapter that runs. */
  readonly current: string;
  readonly past: readonly FleetService[];
  readonly stage: Stage;
  readonly nowMs: number;
}

export class DeployedFleet {
  private constructor(
    private readonly options: DeployedFleetOptions,
    private readonly encrypted: EncryptedFleet,
    readonly robots: readonly DeployedRobot[],
    private memory: Memory,
  ) {}

  /** Makes the keys, releases the pre-trained policy to all robots, and lets them work with it once. */
  static async create(options: DeployedFleetOptions): Promise<DeployedFleet> {
    const { fleet, directory, episodesAReport } = options;
    const encrypted = await EncryptedFleet.create(options.encrypted);
    const robots = fleet.ground.sites.training.map(
      (site, i) => new DeployedRobot(encrypted.roles.client(i), site, fleet.ground),
    );
    const current = join(directory, 'release-0');
    await fleet.writeFirstRelease(current);
    const { release, file } = await sealRelease({
      ownerDirectory: encrypted.roles.owner,
      adapter: current,
      out: join(directory, 'first.tgr'),
    });
    const service = new Map<string, Served>();
    for (const robot of robots) {
      await robot.open(file);
      addService(service, robot.id, await robot.work(episodesAReport));
    }
    return new DeployedFleet(options, encrypted, robots, {
      history: newRolloutHistory(release),
      current,
      past: [service],
      stage: 'set-up',
      nowMs: FIRST_DAY_MS,
    });
  }

  /** Another future of this fleet, from here on: keys, state and memory are copies. */
  async fork(directory: string): Promise<DeployedFleet> {
    const options: DeployedFleetOptions = {
      ...this.options,
      directory,
      encrypted: { ...this.options.encrypted, directory: join(directory, 'rounds') },
    };
    await copyDirectory(this.options.encrypted.directory, options.encrypted.directory);
    const encrypted = EncryptedFleet.open(options.encrypted);
    const robots = this.robots.map((robot, i) => robot.copyOn(encrypted.roles.client(i)));
    return new DeployedFleet(options, encrypted, robots, this.memory);
  }

  /** The owner's directory, and that of the adapter that the whole fleet is to run. */
  get ownerDirectory(): string {
    return this.encrypted.roles.owner;
  }

  get current(): string {
    return this.memory.current;
  }

  get currentRelease(): ReleaseReference {
    return this.memory.history.current;
  }

  /** Robots that run another adapter than the fleet is to run. */
  get straying(): readonly DeployedRobot[] {
    const { adapterFingerprint } = this.currentRelease;
    return this.robots.filter(({ runs }) => runs.adapterFingerprint !== adapterFingerprint);
  }

  /** One round, from training to where its candidate ends. @throws as the package's roles, where one refuses */
  async round(round: number, attacks?: ReadonlyMap<number, Attack>): Promise<DeployedRound> {
    const { fleet, directory } = this.options;
    const { candidate, facts, deltaError } = await fleet.step(this.encrypted, {
      round,
      release: this.current,
      running: this.robots.map(({ adapter }) => adapter),
      directory: join(directory, `step-${round}`),
      ...(attacks !== undefined && { attacks }),
    });
    const adopted = await this.adopt(candidate, round, this.encrypted.planFile(round));
    return { round, facts, deltaError, candidate, ...adopted };
  }

  /**
   * Takes a candidate to where it ends: at the gate, on its way to the robots, or at all of them.
   *
   * @param planFile of the round that it came from, where it came from one
   */
  async adopt(candidate: string, round: number, planFile?: string): Promise<Adopted> {
    const { gateGround, directory, firstGateEpisodes } = this.options;
    const { current, stage } = this.memory;
    const gate = await judgeCandidate({
      ownerDirectory: this.ownerDirectory,
      ground: gateGround,
      candidate,
      baseline: current,
      round,
      stage,
      firstEpisodes: firstGateEpisodes,
    });
    if (gate.outcome !== 'passed') return { gate };
    const sealed = await sealRelease({
      ownerDirectory: this.ownerDirectory,
      adapter: candidate,
      planFile,
      out: join(directory, `round-${round}.tgr`),
    });
    const { history, service, endMs, ...rollout } = await this.rollOut(round, sealed);
    const isFull = rollout.phase.name === 'full';
    this.memory = {
      history,
      current: isFull ? candidate : current,
      past: isFull ? [...this.memory.past, service] : this.memory.past,
      stage: isFull && gate.showsFloors ? 'operation' : stage,
      nowMs: endMs + DAY_MS,
    };
    return { gate, rollout };
  }

  private async rollOut(round: number, sealed: SealedRelease): Promise<RolloutReport> {
    const { directory, episodesAReport } = this.options;
    const { history, past, current, nowMs } = this.memory;
    const { policy } = await readRolePolicy(this.ownerDirectory, ROLE_OPTIONS);
    return StagedRollout.run({
      plan: planWithFloors({
        fleet: 'mujoco',
        release: sealed.release,
        previous: history.current,
        clients: sealed.recipients,
        policy,
        past,
      }),
      history,
      startMs: nowMs,
      robots: new Map(this.robots.map((robot) => [robot.id, robot])),
      sealed,
      verdict: await this.verdictOn(sealed.release),
      sealRollback: (to) =>
        sealRelease({
          ownerDirectory: this.ownerDirectory,
          adapter: current,
          rollbackTo: to,
          out: join(directory, `round-${round}-rollback.tgr`),
        }),
      episodesAReport,
    });
  }

  /** Read back from the owner's records, and verified: what was signed counts, and not what was returned. */
  private async verdictOn({ adapterFingerprint }: ReleaseReference): Promise<PassedVerdict> {
    const { roster, close } = await openRole(this.ownerDirectory, 'owner');
    try {
      const records = new VerdictRecords(this.ownerDirectory);
      const verdict = await records.verdictFor(Buffer.from(adapterFingerprint, 'hex'), roster);
      if (verdict === undefined) throw new TypeError(`there is no verdict on adapter ${adapterFingerprint}`);
      return {
        adapterFingerprint,
        outcome: verdict.body.outcome,
        verdict: Buffer.from(verdict.fingerprint).toString('hex'),
      };
    } finally {
      close();
    }
  }
}
