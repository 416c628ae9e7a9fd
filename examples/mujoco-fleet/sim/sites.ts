/** Where robots stand: no two sites have the same arm, camera, payload or table. */
import { Random, seedOf } from '../random.js';

/** Where on the table things lie, in polar coordinates around the shoulder. */
export interface Zone {
  /** Radians above the horizontal. */
  readonly angle: { readonly min: number; readonly max: number };
  /** Metres. */
  readonly radius: { readonly min: number; readonly max: number };
}

export interface Site {
  readonly name: string;
  /** Kilograms, shoulder's link first. */
  readonly linkMasses: readonly [number, number];
  /** Of both joints: N m s / rad. */
  readonly dampingNewtonMetreSeconds: number;
  /** Dry friction of both joints: N m. */
  readonly frictionNewtonMetres: number;
  /** What the actuators give of the stiffness that they should have. */
  readonly actuatorGain: number;
  /** What the camera adds to every position that it sees: x and z, metres. */
  readonly cameraOffset: readonly [number, number];
  /** What the gripper carries from pick to place: kilograms. */
  readonly payloadKilograms: number;
  readonly pickZone: Zone;
  readonly placeZone: Zone;
  /** Of its work, what is done at night, when the camera sees less light: from 0 to 1. */
  readonly nightShare: number;
}

/** Everything that the arm reaches without touching a joint limit. */
export const WORKSPACE: Zone = { angle: { min: -0.35, max: 1.15 }, radius: { min: 0.28, max: 0.51 } };

/** The arm as its maker models it. */
export const NOMINAL: Site = {
  name: 'nominal',
  linkMasses: [1, 0.8],
  dampingNewtonMetreSeconds: 0.5,
  frictionNewtonMetres: 0,
  actuatorGain: 1,
  cameraOffset: [0, 0],
  payloadKilograms: 0.1,
  pickZone: WORKSPACE,
  placeZone: WORKSPACE,
  nightShare: 0.5,
};

/** Extent of a site's zones, of the workspace's. */
const ZONE_SHARE = 0.4;
const MAX_CAMERA_OFFSET_METRES = 0.06;
const NIGHT_SHARES = [0, 0.5];

function drawZone(random: Random): Zone {
  const part = ({ min, max }: Zone['angle']): Zone['angle'] => {
    const extent = (max - min) * ZONE_SHARE;
    const start = random.between(min, max - extent);
    return { min: start, max: start + extent };
  };
  return { angle: part(WORKSPACE.angle), radius: part(WORKSPACE.radius) };
}

function drawSite(name: string): Site {
  const random = new Random(seedOf('site', name));
  const offset = (): number => random.between(-MAX_CAMERA_OFFSET_METRES, MAX_CAMERA_OFFSET_METRES);
  return {
    name,
    linkMasses: [random.between(0.9, 1.5), random.between(0.7, 1.3)],
    dampingNewtonMetreSeconds: random.between(0.5, 3),
    frictionNewtonMetres: random.between(0, 0.3),
    actuatorGain: random.between(0.65, 1),
    cameraOffset: [offset(), offset()],
    payloadKilograms: random.between(0.2, 0.9),
    pickZone: drawZone(random),
    placeZone: drawZone(random),
    nightShare: NIGHT_SHARES[random.below(NIGHT_SHARES.length)] as number,
  };
}

/** The same site in the daytime only: when people demonstrate, and how the owner's simulator lights its copies of sites. */
export function byDay(site: Site): Site {
  return { ...site, nightShare: 0 };
}

/** The sites of the fleet's robots. The same numbers give the same sites. */
export function trainingSites(count: number): Site[] {
  return Array.from({ length: count }, (_, i) => drawSite(`training-${i + 1}`));
}

/** Sites of the same kind at which no robot ever trained. */
export function unseenSites(count: number): Site[] {
  return Array.from({ length: count }, (_, i) => drawSite(`unseen-${i + 1}`));
}

/** What the coordinator trains at to see how large updates are: neither trained nor evaluated by anyone else. */
export function pilotSite(): Site {
  return drawSite('pilot');
}
