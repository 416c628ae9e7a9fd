import { expect } from 'chai';
import { combineShares } from '../../../lib/custody/break-glass/officer-shares.js';
import {
  openRecoveryCopy,
  type RecoveryBinding,
  sealRecoveryCopy,
} from '../../../lib/custody/break-glass/recovery-copy.js';
import type { RecoveryDescription } from '../../../lib/custody/break-glass/recovery-description.js';
import { hex } from '../../../lib/custody/fields.js';
import { SecretBytes } from '../../../lib/custody/secret-bytes.js';
import { VerificationError } from '../../../lib/errors.js';
import { expectRefusal } from '../../support/refusals.js';
import { bytes32, withBitFlipped } from '../support/bytes.js';
import { bytesOf, newRecovery, shows } from './support/recovery.js';

const binding: RecoveryBinding = {
  fleet: 'fleet-a',
  role: 'custodian',
  id: 'custodian-1',
  keyName: 'kem-3',
  epoch: 3,
};
const secretOf = (name: string) => new SecretBytes(bytes32(name));

describe('recovery copies', () => {
  let recovery: RecoveryDescription;
  let seed: SecretBytes;
  let copy: Uint8Array;
  const messages = new Set<string>();

  before(async () => {
    const made = await newRecovery();
    recovery = made.recovery;
    seed = await combineShares(recovery, made.shares.slice(0, 2));
    copy = await sealRecoveryCopy(recovery, binding, secretOf('kem-3'));
  });

  async function refuses(
    description: RecoveryDescription,
    otherBinding: RecoveryBinding,
    sealed: Uint8Array,
    key = seed,
  ): Promise<void> {
    const error = await expectRefusal('break-glass.bad-copy', () =>
      openRecoveryCopy(description, key, otherBinding, sealed),
    );
    expect(error).to.be.instanceOf(VerificationError);
    expect(error.cause).to.equal(undefined);
    expect(shows(error.message, bytes32('kem-3'))).to.equal(false);
    messages.add(error.message);
  }

  it('are opened with the seed that officers recombine', async () => {
    const opened = await openRecoveryCopy(recovery, seed, binding, copy);
    expect(hex(bytesOf(opened))).to.equal(hex(bytes32('kem-3')));
    expect(copy.length).to.equal(1120 + 32 + 16);
    expect(shows(hex(copy), bytes32('kem-3'))).to.equal(false);
  });

  it('leave the secret and the seed as they were', async () => {
    const secret = secretOf('other');
    const sealed = await sealRecoveryCopy(recovery, binding, secret);
    await openRecoveryCopy(recovery, seed, binding, sealed);
    expect(hex(bytesOf(secret))).to.equal(hex(bytes32('other')));
    expect(hex(bytesOf(await openRecoveryCopy(recovery, seed, binding, sealed)))).to.equal(
      hex(bytes32('other')),
    );
  });

  it('hold the secret even if it is wiped while it is being sealed', async () => {
    const secret = secretOf('wiped');
    const sealing = sealRecoveryCopy(recovery, binding, secret);
    secret.wipe();
    const opened = await openRecoveryCopy(recovery, seed, binding, await sealing);
    expect(hex(bytesOf(opened))).to.equal(hex(bytes32('wiped')));
  });

  for (const [what, changes] of [
    ['key', { keyName: 'kem-4' }],
    ['epoch', { epoch: 4 }],
    ['key, with the border between the fields moved', { keyName: 'kem-', epoch: 33 }],
  ] as const) {
    it(`do not open as the secret of another ${what}`, async () => {
      await refuses(recovery, { ...binding, ...changes }, copy);
    });
  }

  for (const owner of [{ fleet: 'fleet-b' }, { role: 'owner' }, { id: 'custodian-2' }] as const) {
    const [field] = Object.keys(owner);
    it(`do not open under another ${field}, even with a description that has it`, async () => {
      await refuses({ ...recovery, ...owner }, { ...binding, ...owner }, copy);
    });

    it(`are neither sealed nor opened where the description has another ${field}`, async () => {
      const other = { ...binding, ...owner };
      await expectRefusal('break-glass.other-owner', () => sealRecoveryCopy(recovery, other, secretOf('x')));
      await expectRefusal('break-glass.other-owner', () => openRecoveryCopy(recovery, seed, other, copy));
    });
  }

  it('do not open under another set id', async () => {
    await refuses({ ...recovery, setId: '0'.repeat(32) }, binding, copy);
  });

  it("do not open with another set's seed", async () => {
    const other = await newRecovery();
    const otherSeed = await combineShares(other.recovery, other.shares);
    await refuses(recovery, binding, copy, otherSeed);
    await refuses(other.recovery, binding, copy, otherSeed);
  });

  it('do not open when changed, cut short or extended', async () => {
    for (const index of [0, 1119, 1120, copy.length - 1]) {
      await refuses(recovery, binding, withBitFlipped(copy, index));
    }
    for (const wrong of [new Uint8Array(), copy.subarray(0, -1), Buffer.concat([copy, Buffer.of(0)])]) {
      await refuses(recovery, binding, wrong);
    }
  });

  it('name nothing but the key when they do not open', () => {
    const words = [...messages].map((message) => message.replace(/"kem-[34]?"/, 'KEY'));
    expect(messages.size).to.equal(3);
    expect(new Set(words).size).to.equal(1);
  });

  it('are not sealed under bindings that are none', async () => {
    for (const [code, changes] of [
      ['field.bad-text', { keyName: '' }],
      ['field.bad-integer', { epoch: -1 }],
      ['field.bad-integer', { epoch: 1.5 }],
    ] as const) {
      await expectRefusal(code, () => sealRecoveryCopy(recovery, { ...binding, ...changes }, secretOf('x')));
    }
  });

  it('are not made of a wiped secret', async () => {
    const secret = secretOf('x');
    secret.wipe();
    await expectRefusal('key.wiped', () => sealRecoveryCopy(recovery, binding, secret));
  });
});
