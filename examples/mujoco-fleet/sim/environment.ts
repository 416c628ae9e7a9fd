/** Pick and place: bring the tip to where a thing lies, then carry the thing to where it belongs. */
import { Random, seedOf } from '../random.js';
import {
  armModel,
  GRIPPER_BODY,
  GRIPPER_KILOGRAMS,
  JOINT_LIMITS,
  type Limits,
  STIFFNESS,
  TIMESTEP_SECONDS,
} from './arm.js';
import { gravityTorques, type Pair, tipPosition } from './kinematics.js';
import { Simulation } from './mujoco.js';
import type { Site, Zone } from './sites.js';

/** What a policy sees: {@link Environment.observe} says of what. */
export const OBSERVATION_SIZE = 14;
/** A policy's action: by how much each joint's target lies ahead of the joint, in units of {@link ACTION_RADIANS}. */
export const ACTION_SIZE = 2;
export const ACTION_RADIANS = 0.4;

const STEPS_A_CONTROL = 10;
export const CONTROL_SECONDS = STEPS_A_CONTROL * TIMESTEP_SECONDS;
/** Five seconds. */
export const MAX_CONTROLS = 100;
const MAX_ACTION = 1.5;
const HOME: Pair = [1.5, -1.8];
const HOME_SPREAD = 0.15;
/** No two things weigh the same: up to so much of the site's payload more or less. */
const PAYLOAD_SPREAD = 0.5;
/** How near the tip has to stay, and for how many controls: metres. */
const REACH = { tolerance: 0.025, controls: 4 } as const;
const PLACE = { tolerance: 0.025, controls: 8 } as const;
/** What the camera sees of full light. */
const DAYLIGHT = { min: 0.6, max: 1 } as const;
const NIGHT_LIGHT = { min: 0, max: 0.3 } as const;
const CAMERA_NOISE_METRES = 0.001;
const CURRENT_NOISE = 0.01;

export interface Outcome {
  readonly reached: boolean;
  /** Reached, and then placed: what counts as success. */
  readonly placed: boolean;
  /** Controls at which a joint was beyond its limit. */
  readonly constraintViolations: number;
  readonly seconds: number;
}

interface Episode {
  readonly pick: Pair;
  readonly place: Pair;
  readonly payloadKilograms: number;
  readonly isNight: boolean;
  readonly light: number;
  readonly noise: Random;
}

function drawIn(zone: Zone, random: Random): Pair {
  const angle = random.between(zone.angle.min, zone.angle.max);
  const radius = random.between(zone.radius.min, zone.radius.max);
  return [radius * Math.cos(angle), radius * Math.sin(angle)];
}

function isBeyond(angle: number, { min, max }: Limits): boolean {
  return angle < min || angle > max;
}

/** One arm at one site. The caller closes it. */
export class Environment {
  private episode: Episode | undefined;
  private controls = 0;
  private within = 0;
  private violations = 0;
  /** See {@link weigh}. */
  private holding: Pair = [0, 0];
  private reachedAt: number | undefined;
  private placedAt: number | undefined;

  private constructor(
    readonly site: Site,
    private readonly simulation: Simulation,
  ) {}

  static async create(site: Site): Promise<Environment> {
    return new Environment(site, await Simulation.compile(armModel(site)));
  }

  /** Begins the episode that the seed is. */
  reset(seed: number): void {
    this.controls = 0;
    this.within = 0;
    this.violations = 0;
    this.reachedAt = undefined;
    this.placedAt = undefined;
    const random = new Random(seedOf('episode', this.site.name, seed));
    const pick = drawIn(this.site.pickZone, random);
    const place = drawIn(this.site.placeZone, random);
    const payloadKilograms =
      this.site.payloadKilograms * random.between(1 - PAYLOAD_SPREAD, 1 + PAYLOAD_SPREAD);
    this.simulation.reset();
    this.simulation.bodyMasses[GRIPPER_BODY] = GRIPPER_KILOGRAMS;
    const { jointPositions } = this.simulation;
    for (const joint of [0, 1] as const) {
      jointPositions[joint] = HOME[joint] + random.between(-HOME_SPREAD, HOME_SPREAD);
    }
    const noise = new Random(seedOf('noise', this.site.name, seed));
    const hour = new Random(seedOf('hour', this.site.name, seed));
    const isNight = hour.next() < this.site.nightShare;
    const { min, max } = isNight ? NIGHT_LIGHT : DAYLIGHT;
    this.episode = { pick, place, payloadKilograms, isNight, light: hour.between(min, max), noise };
    this.weigh();
    this.simulation.forward();
  }

  get done(): boolean {
    return this.placedAt !== undefined || this.controls >= MAX_CONTROLS;
  }

  get isNight(): boolean {
    return this.running.isNight;
  }

  get carrying(): boolean {
    return this.reachedAt !== undefined;
  }

  /** What the lower link carries at its end. */
  get tipKilograms(): number {
    return GRIPPER_KILOGRAMS + (this.carrying ? this.running.payloadKilograms : 0);
  }

  get joints(): Pair {
    const [shoulder, elbow] = this.simulation.jointPositions;
    return [shoulder as number, elbow as number];
  }

  get velocities(): Pair {
    const [shoulder, elbow] = this.simulation.jointVelocities;
    return [shoulder as number, elbow as number];
  }

  /** Where the tip has to be, without the camera's error. */
  get target(): Pair {
    const { pick, place } = this.running;
    return this.carrying ? place : pick;
  }

  /**
   * Joint angles and velocities; target in the camera's frame; target less tip, both as the camera sees them, coarse and fine;
   * what the motors need to hold the arm; whether something is carried; how light it is.
   */
  observe(out: Float32Array): void {
    const { light, noise } = this.running;
    const [shoulder, elbow] = this.joints;
    const [shoulderSpeed, elbowSpeed] = this.velocities;
    const tip = tipPosition([shoulder, elbow]);
    const [offsetX, offsetZ] = this.site.cameraOffset;
    const seenX = this.target[0] + offsetX + noise.normal(CAMERA_NOISE_METRES);
    const seenZ = this.target[1] + offsetZ + noise.normal(CAMERA_NOISE_METRES);
    const errorX = seenX - tip[0] - offsetX;
    const errorZ = seenZ - tip[1] - offsetZ;
    out.set([
      shoulder - HOME[0],
      elbow - HOME[1],
      shoulderSpeed / 2,
      elbowSpeed / 2,
      (seenX - 0.35) * 4,
      (seenZ - 0.15) * 4,
      errorX * 4,
      errorZ * 4,
      Math.tanh(errorX / 0.06),
      Math.tanh(errorZ / 0.06),
      this.holding[0],
      this.holding[1],
      this.carrying ? 1 : 0,
      4 * light - 2,
    ]);
  }

  /** Applies an action for {@link CONTROL_SECONDS}. */
  act(action: ArrayLike<number>): void {
    const joints = this.joints;
    const { controls } = this.simulation;
    for (const joint of [0, 1] as const) {
      const ahead = Math.min(MAX_ACTION, Math.max(-MAX_ACTION, action[joint] as number)) * ACTION_RADIANS;
      controls[joint] = joints[joint] + ahead;
    }
    for (let i = 0; i < STEPS_A_CONTROL; i += 1) this.simulation.step();
    this.controls += 1;
    if (this.joints.some((angle, joint) => isBeyond(angle, JOINT_LIMITS[joint as 0 | 1])))
      this.violations += 1;
    this.judge();
  }

  outcome(): Outcome {
    return {
      reached: this.reachedAt !== undefined,
      placed: this.placedAt !== undefined,
      constraintViolations: this.violations,
      seconds: this.controls * CONTROL_SECONDS,
    };
  }

  close(): void {
    this.simulation.close();
  }

  private get running(): Episode {
    if (this.episode === undefined) throw new TypeError('no episode has begun');
    return this.episode;
  }

  /**
   * What an arm reads off its motors before it moves and again once it carries something: the command that holds it at home,
   * with the reading's error. It tells a policy of masses and gain, if it has learned that they differ.
   */
  private weigh(): void {
    const torques = gravityTorques(this.site, HOME, this.tipKilograms);
    const full = STIFFNESS * this.site.actuatorGain * ACTION_RADIANS;
    const read = (torque: number): number => torque / full + this.running.noise.normal(CURRENT_NOISE);
    this.holding = [read(torques[0]), read(torques[1])];
  }

  private judge(): void {
    const { tolerance, controls } = this.carrying ? PLACE : REACH;
    const tip = tipPosition(this.joints);
    const distance = Math.hypot(tip[0] - this.target[0], tip[1] - this.target[1]);
    this.within = distance <= tolerance ? this.within + 1 : 0;
    if (this.within < controls) return;
    this.within = 0;
    if (this.carrying) {
      this.placedAt = this.controls;
      return;
    }
    this.reachedAt = this.controls;
    this.simulation.bodyMasses[GRIPPER_BODY] = this.tipKilograms;
    this.weigh();
  }
}
