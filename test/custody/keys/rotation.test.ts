import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { KeyStore } from '../../../lib/custody/keys/key-store.js';
import { rotate, rotationState } from '../../../lib/custody/keys/rotation.js';
import { expectRefusal } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { CUSTODIAN, newStore } from './support/stores.js';

const HOUR_MS = 3_600_000;

function states(store: KeyStore): [string, string][] {
  return store
    .keys()
    .filter(({ purpose }) => purpose === 'kem')
    .map(({ name, state }) => [name, state]);
}

describe('the rotation of a KEM key', () => {
  it('is due its time after the newest key was made, whatever became of the others', async () => {
    const { store } = await newStore();
    await store.createKem(4, 'active');
    const { createdMs } = store.newestKem() as { createdMs: number };
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8760 }), (hours) => {
        const { newest, dueAtMs, pending } = rotationState(store, hours);
        expect([newest.name, pending]).to.deep.equal(['kem-4', false]);
        expect((dueAtMs - createdMs) / HOUR_MS).to.equal(hours);
      }),
    );
    store.close();
  });

  it('is due at once where the newest key is compromised or destroyed', async () => {
    const { store } = await newStore();
    await store.transition('kem-1', 'compromised', 'stolen');
    const { createdMs } = store.newestKem() as { createdMs: number };
    expect(rotationState(store, 8760)).to.include({ dueAtMs: createdMs, pending: false });
    await store.destroy('kem-1', 'its rounds are closed');
    expect(rotationState(store, 8760)).to.include({ dueAtMs: createdMs, pending: false });
    await rotate(store);
    expect(rotationState(store, 8760).dueAtMs).to.be.greaterThan(Date.now());
    store.close();
  });

  it('makes a custodian a key that waits for a roster, and no second one while it waits', async () => {
    const { store } = await newStore();
    const first = await rotate(store);
    expect(first).to.deep.include({ made: true });
    expect(first.key).to.include({ name: 'kem-2', epoch: 2, state: 'pre-activation' });
    expect(rotationState(store, 24).pending).to.equal(true);
    const { sequence } = store.auditHead();
    const again = await rotate(store);
    expect(again.made).to.equal(false);
    expect(again.key).to.deep.equal(first.key);
    expect(store.auditHead().sequence).to.equal(sequence);
    expect(states(store)).to.deep.equal([
      ['kem-1', 'active'],
      ['kem-2', 'pre-activation'],
    ]);
    const made = store.vault.trail.entries(3);
    expect(made.map(({ kind, key, detail }) => [kind, key, detail['epoch']])).to.deep.equal([
      ['rotate', undefined, 2],
      ['create', 'kem-2', 2],
    ]);
    expect((await store.verifyAudit()).bad).to.equal(undefined);
    store.close();
  });

  it('goes to a later epoch that the others have had to go to, and destroys what waited for an earlier one', async () => {
    const { store } = await newStore();
    await rotate(store);
    expect((await rotate(store, 2)).made).to.equal(false);
    const later = await rotate(store, 4);
    expect(later.made).to.equal(true);
    expect(states(store)).to.deep.equal([
      ['kem-1', 'active'],
      ['kem-2', 'destroyed'],
      ['kem-4', 'pre-activation'],
    ]);
    expect((await store.verifyAudit()).bad).to.equal(undefined);
    store.close();
  });

  it('goes on from a pending key that was compromised or destroyed before any roster listed it', async () => {
    const { store } = await newStore();
    await rotate(store);
    await store.transition('kem-2', 'compromised', 'test');
    expect((await rotate(store)).key).to.include({ name: 'kem-3', state: 'pre-activation' });
    await store.destroy('kem-3', 'test');
    expect((await rotate(store)).key).to.include({ name: 'kem-4', state: 'pre-activation' });
    store.close();
  });

  it("is at once with a client's key, and the one before still opens", async () => {
    const { store } = await newStore({ role: 'client', id: 'robot-1', prf: true });
    const { sequence } = store.auditHead();
    expect(await rotate(store)).to.deep.include({ made: true });
    const [unwrapped, ...entries] = store.vault.trail.entries(sequence);
    expect(unwrapped).to.include({ kind: 'unwrap', key: 'signing' });
    expect(entries.map(({ kind, key }) => [kind, key])).to.deep.equal([
      ['rotate', undefined],
      ['create', 'kem-2'],
      ['deactivate', 'kem-1'],
    ]);
    expect(states(store)).to.deep.equal([
      ['kem-1', 'deactivated'],
      ['kem-2', 'active'],
    ]);
    (await store.kem('kem-1', 'release 1')).wipe();
    await rotate(store);
    expect(states(store)).to.deep.equal([
      ['kem-1', 'deactivated'],
      ['kem-2', 'deactivated'],
      ['kem-3', 'active'],
    ]);
    store.close();
  });

  it('makes no key of an epoch that a restored store must not open', async () => {
    const { store } = await newStore();
    await store.raiseEpochFloor(6, 'imported');
    expect((await rotate(store)).key.epoch).to.equal(6);
    store.close();
  });

  it('is nothing that a role without a KEM key has', async () => {
    const { kem: _, ...keys } = CUSTODIAN;
    const store = await KeyStore.create(join(await temporaryDirectory(), 'role'), {
      ...keys,
      role: 'aggregator',
    });
    await expectRefusal('key.no-kem', () => rotationState(store, 24));
    store.close();
  });
});
