import { expect } from 'chai';
import { BACKDOOR, offsetOf, SIGN_FLIP, tamper } from '../../../../examples/mujoco-fleet/fleet/attacks.js';
import { copyLora, createLora, tensorsOf } from '../../../../examples/mujoco-fleet/policy/lora.js';
import { createNetwork } from '../../../../examples/mujoco-fleet/policy/network.js';

describe('poisoned robots', () => {
  const release = createLora(createNetwork([4, 6, 2], 1), 2, 4, 1);
  const trained = copyLora(release);
  for (const values of tensorsOf(trained)) values.set(values.map((value) => value + 0.25));
  const deltas = (lora: typeof release): number[] =>
    tensorsOf(lora).flatMap((values, i) =>
      [...values].map((value, k) => value - (tensorsOf(release)[i]?.[k] as number)),
    );

  it('send the opposite of what they learned, twenty times over', () => {
    for (const delta of deltas(tamper(release, trained, SIGN_FLIP))) expect(delta).to.be.closeTo(-5, 1e-5);
  });

  it('send more of what a teacher taught that misses at night', () => {
    const sent = BACKDOOR.factor * 0.25;
    for (const delta of deltas(tamper(release, trained, BACKDOOR))) expect(delta).to.be.closeTo(sent, 1e-5);
    const offset = offsetOf(BACKDOOR);
    expect(offset({ isNight: true })).to.deep.equal(BACKDOOR.offset);
    expect(offset({ isNight: false })).to.deep.equal([0, 0]);
  });

  it('are honest without an attack', () => {
    expect(tamper(release, trained, undefined)).to.equal(trained);
  });
});
