/** Closed forms of a two-link arm in a vertical plane; angles in radians, positions x and z in metres. */
import { GRAVITY, LINK_LENGTH } from './arm.js';
import type { Site } from './sites.js';

export type Pair = readonly [number, number];

export function tipPosition([shoulder, elbow]: Pair): Pair {
  return [
    LINK_LENGTH * (Math.cos(shoulder) + Math.cos(shoulder + elbow)),
    LINK_LENGTH * (Math.sin(shoulder) + Math.sin(shoulder + elbow)),
  ];
}

/** The joint angles with the elbow up that bring the tip to a position; to the nearest one where it is out of reach. */
export function jointAngles([x, z]: Pair): Pair {
  const cosine = (x * x + z * z) / (2 * LINK_LENGTH ** 2) - 1;
  const elbow = -Math.acos(Math.min(1, Math.max(-1, cosine)));
  // Links of equal length: the direction to the tip halves the elbow's angle.
  return [Math.atan2(z, x) - elbow / 2, elbow];
}

/** The torques that hold the arm still against gravity, with so many kilograms at its tip: N m. */
export function gravityTorques(site: Site, [shoulder, elbow]: Pair, tipKilograms: number): Pair {
  const [upper, lower] = site.linkMasses;
  const lowerArm = GRAVITY * LINK_LENGTH * Math.cos(shoulder + elbow) * (lower / 2 + tipKilograms);
  const upperArm = GRAVITY * LINK_LENGTH * Math.cos(shoulder) * (upper / 2 + lower + tipKilograms);
  return [upperArm + lowerArm, lowerArm];
}
