import { expect } from 'chai';
import { GRAVITY, GRIPPER_KILOGRAMS, JOINT_LIMITS } from '../../../../examples/mujoco-fleet/sim/arm.js';
import {
  gravityTorques,
  jointAngles,
  type Pair,
  tipPosition,
} from '../../../../examples/mujoco-fleet/sim/kinematics.js';
import { NOMINAL, WORKSPACE } from '../../../../examples/mujoco-fleet/sim/sites.js';

const CORNERS: readonly Pair[] = [WORKSPACE.angle.min, 0.4, WORKSPACE.angle.max].flatMap((angle) =>
  [WORKSPACE.radius.min, WORKSPACE.radius.max].map(
    (radius): Pair => [radius * Math.cos(angle), radius * Math.sin(angle)],
  ),
);

describe("the arm's kinematics", () => {
  it('bring the tip where it should be, with the elbow up and no joint beyond its limit', () => {
    for (const target of CORNERS) {
      const angles = jointAngles(target);
      const tip = tipPosition(angles);
      expect(tip[0]).to.be.closeTo(target[0], 1e-12);
      expect(tip[1]).to.be.closeTo(target[1], 1e-12);
      for (const joint of [0, 1] as const) {
        expect(angles[joint]).to.be.within(JOINT_LIMITS[joint].min, JOINT_LIMITS[joint].max);
      }
    }
  });

  it('stretch the arm towards what is out of reach', () => {
    const [shoulder, elbow] = jointAngles([3, 3]);
    expect(shoulder).to.be.closeTo(Math.PI / 4, 1e-12);
    expect(elbow).to.be.closeTo(0, 1e-12);
  });

  it('hold against gravity with the gradient of the potential energy', () => {
    const tipKilograms = GRIPPER_KILOGRAMS + 0.4;
    const energy = ([shoulder, elbow]: Pair): number => {
      const knee = 0.3 * Math.sin(shoulder);
      const tip = tipPosition([shoulder, elbow])[1];
      const [upper, lower] = NOMINAL.linkMasses;
      return GRAVITY * ((upper * knee) / 2 + (lower * (knee + tip)) / 2 + tipKilograms * tip);
    };
    const step = 1e-5;
    const torques = gravityTorques(NOMINAL, [0.7, -1.1], tipKilograms);
    const first = (energy([0.7 + step, -1.1]) - energy([0.7 - step, -1.1])) / (2 * step);
    const second = (energy([0.7, -1.1 + step]) - energy([0.7, -1.1 - step])) / (2 * step);
    expect(torques[0]).to.be.closeTo(first, 1e-6);
    expect(torques[1]).to.be.closeTo(second, 1e-6);
  });
});
