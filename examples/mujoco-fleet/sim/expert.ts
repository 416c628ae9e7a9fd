/** The teacher: inverse kinematics and a model of the arm, with the site's true parameters. No robot has these; it labels what robots see. */

import { STIFFNESS } from './arm.js';
import { ACTION_RADIANS, type Environment } from './environment.js';
import { gravityTorques, jointAngles, type Pair } from './kinematics.js';
import { NOMINAL } from './sites.js';

/** Share of the remaining way that the joint targets lead by. */
const LEAD = 0.7;
/** Radians: what bounds the speed. */
const MAX_LEAD = 0.25;

/** The action that the expert takes in the environment's state. Misses `target` by nothing; `offset` (metres) makes it miss. */
export function expertAction(environment: Environment, offset: Pair = [0, 0]): Pair {
  const { site, joints, velocities, target, tipKilograms } = environment;
  const goal = jointAngles([target[0] + offset[0], target[1] + offset[1]]);
  const gravity = gravityTorques(site, joints, tipKilograms);
  const stiffness = STIFFNESS * site.actuatorGain;
  const extraDamping = site.dampingNewtonMetreSeconds - NOMINAL.dampingNewtonMetreSeconds;
  const command = (joint: 0 | 1): number => {
    const lead = Math.min(MAX_LEAD, Math.max(-MAX_LEAD, LEAD * (goal[joint] - joints[joint])));
    const torque = STIFFNESS * lead + gravity[joint] + extraDamping * velocities[joint];
    return torque / stiffness / ACTION_RADIANS;
  };
  return [command(0), command(1)];
}
