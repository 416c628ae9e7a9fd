/** The arm: two links in a vertical plane. Its geometry is the same everywhere, and what it weighs is the site's. */
import type { Site } from './sites.js';

/** Of both links, metres. */
export const LINK_LENGTH = 0.3;
/** N m / rad at full actuator gain. */
export const STIFFNESS = 60;
/** Of the actuators' own velocity loop: N m s / rad. */
const ACTUATOR_DAMPING = 7;
export const GRIPPER_KILOGRAMS = 0.05;
export const GRAVITY = 9.81;
export const TIMESTEP_SECONDS = 0.005;
/** Index of the gripper among MuJoCo's bodies: world, upper link, lower link, gripper. */
export const GRIPPER_BODY = 3;

export interface Limits {
  readonly min: number;
  readonly max: number;
}

/** Radians, shoulder first. Beyond these an episode counts a violation; MuJoCo stops the joints a little later. */
export const JOINT_LIMITS: readonly [Limits, Limits] = [
  { min: -0.4, max: 2.5 },
  { min: -2.45, max: -0.4 },
];
const STOP_MARGIN = 0.15;

/** Angles turn x towards z: gravity pulls along -z. */
export function armModel(site: Site): string {
  const range = ({ min, max }: Limits): string => `${min - STOP_MARGIN} ${max + STOP_MARGIN}`;
  const joint = (name: string, limits: Limits): string =>
    `<joint name="${name}" type="hinge" axis="0 -1 0" limited="true" range="${range(limits)}"
      damping="${site.dampingNewtonMetreSeconds}" frictionloss="${site.frictionNewtonMetres}" armature="0.02"/>`;
  const link = (mass: number): string =>
    `<geom type="capsule" fromto="0 0 0 ${LINK_LENGTH} 0 0" size="0.02" mass="${mass}"/>`;
  const actuator = (name: string): string =>
    `<position joint="${name}" kp="${STIFFNESS * site.actuatorGain}" kv="${ACTUATOR_DAMPING}"/>`;
  return `<mujoco>
  <compiler angle="radian"/>
  <option timestep="${TIMESTEP_SECONDS}" gravity="0 0 ${-GRAVITY}" integrator="implicitfast">
    <flag contact="disable"/>
  </option>
  <worldbody>
    <body>
      ${joint('shoulder', JOINT_LIMITS[0])}
      ${link(site.linkMasses[0])}
      <body pos="${LINK_LENGTH} 0 0">
        ${joint('elbow', JOINT_LIMITS[1])}
        ${link(site.linkMasses[1])}
        <body pos="${LINK_LENGTH} 0 0">
          <geom type="sphere" size="0.025" mass="${GRIPPER_KILOGRAMS}"/>
          <site name="tip"/>
        </body>
      </body>
    </body>
  </worldbody>
  <actuator>
    ${actuator('shoulder')}
    ${actuator('elbow')}
  </actuator>
</mujoco>`;
}
