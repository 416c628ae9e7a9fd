import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { setUpRecovery } from '../../../lib/custody/keys/break-glass.js';
import { followRoster } from '../../../lib/custody/keys/follow-roster.js';
import type { KeyStore } from '../../../lib/custody/keys/key-store.js';
import type { TrustedRoster } from '../../../lib/custody/roster.js';
import type { RosterBody } from '../../../lib/package/messages/roster.js';
import { createMembers, rosterBody } from '../../round/support/members.js';
import { bytes32 } from '../support/bytes.js';
import { newStore } from './support/stores.js';

/** A roster of `version` that lists the store's KEM key of `epoch`, as the store's machine has read it. */
async function rosterOf(
  store: KeyStore,
  epoch: number,
  version: number,
  changes: Partial<RosterBody> = {},
): Promise<TrustedRoster> {
  const members = await createMembers({ clients: 3, custodians: 2 });
  const kem = store.keys().find((key) => key.epoch === epoch)?.publicKey as Uint8Array;
  const body = rosterBody(members, { version, ...changes });
  const custodians = body.custodians.map((custodian) =>
    custodian.id === store.id
      ? { ...custodian, keys: store.publicKeys, kem, epoch }
      : { ...custodian, epoch },
  );
  const owner = store.role === 'owner' ? { keys: store.publicKeys, kem } : body.owner;
  return {
    body: { ...body, owner, custodians },
    fingerprint: bytes32(`roster ${version}`),
    ownerKeyId: bytes32('owner'),
  };
}

function states(store: KeyStore): Record<string, string> {
  const kems = store.keys().filter(({ purpose }) => purpose === 'kem');
  return Object.fromEntries(kems.map(({ name, state }) => [name, state]));
}

/** Follows a roster twice: the second time changes nothing and writes no entry. */
async function follow(store: KeyStore, roster: TrustedRoster): Promise<Record<string, string>> {
  await followRoster(store, roster);
  const [after, head] = [states(store), store.auditHead()];
  await followRoster(store, roster);
  expect(states(store)).to.deep.equal(after);
  expect(store.auditHead()).to.deep.equal(head);
  expect((await store.verifyAudit()).bad).to.equal(undefined);
  return after;
}

describe('a custodian that follows a roster', () => {
  it('has the listed key active and those before it deactivated, which still open', async () => {
    const { store } = await newStore();
    await store.createKem(2, 'pre-activation', 'rotate');
    expect(await follow(store, await rosterOf(store, 1, 2))).to.deep.equal({
      'kem-1': 'active',
      'kem-2': 'pre-activation',
    });
    expect(await follow(store, await rosterOf(store, 2, 3))).to.deep.equal({
      'kem-1': 'deactivated',
      'kem-2': 'active',
    });
    (await store.kem('kem-1', 'a round of the old epoch')).wipe();
    const why = store.vault.trail.entries().slice(-3);
    expect(why.map(({ kind, key }) => [kind, key])).to.deep.equal([
      ['activate', 'kem-2'],
      ['deactivate', 'kem-1'],
      ['unwrap', 'kem-1'],
    ]);
    for (const { detail } of why.slice(0, 2)) expect(detail['reason']).to.match(/^roster 3 [0-9a-f]{16}$/);
    store.close();
  });

  it('destroys the keys of epochs before the oldest open one, and no other', async () => {
    const { directory, store } = await newStore();
    for (const epoch of [2, 3]) await store.createKem(epoch, 'pre-activation', 'rotate');
    await follow(store, await rosterOf(store, 2, 2));
    expect(await follow(store, await rosterOf(store, 3, 3, { oldestOpenEpoch: 2 }))).to.deep.equal({
      'kem-1': 'destroyed',
      'kem-2': 'deactivated',
      'kem-3': 'active',
    });
    const files = await readdir(join(directory, 'keys'));
    expect(files.map((file) => file.split('.')[0]).sort()).to.deep.equal(['kem-2', 'kem-3', 'signing']);
    (await store.kem('kem-2', 'a round of the old epoch')).wipe();
    store.close();
  });

  it('never destroys the listed key itself, whatever the oldest open epoch is said to be', async () => {
    const { store } = await newStore();
    expect(await follow(store, await rosterOf(store, 1, 2, { oldestOpenEpoch: 9 }))).to.deep.equal({
      'kem-1': 'active',
    });
    store.close();
  });

  it('destroys a compromised or suspended key of a closed epoch, with the copy that officers had', async () => {
    const { directory, store } = await newStore();
    await setUpRecovery(store, { officers: ['ada', 'grace'], threshold: 2 });
    for (const epoch of [2, 3]) await store.createKem(epoch, 'active');
    await store.transition('kem-1', 'compromised', 'test');
    await store.transition('kem-2', 'suspended', 'test');
    expect(await follow(store, await rosterOf(store, 3, 2))).to.deep.equal({
      'kem-1': 'compromised',
      'kem-2': 'suspended',
      'kem-3': 'active',
    });
    expect(await follow(store, await rosterOf(store, 3, 3, { oldestOpenEpoch: 3 }))).to.deep.equal({
      'kem-1': 'destroyed',
      'kem-2': 'destroyed',
      'kem-3': 'active',
    });
    const files = await readdir(join(directory, 'keys'));
    expect(files.filter((file) => /^kem-[12]\./.test(file))).to.deep.equal([]);
    store.close();
  });

  it('gives a key that an operator suspended or that was compromised no other state', async () => {
    const { store } = await newStore();
    await store.createKem(2, 'active');
    await store.transition('kem-2', 'suspended', 'test');
    const listed = await rosterOf(store, 2, 2);
    expect(await follow(store, listed)).to.deep.equal({ 'kem-1': 'deactivated', 'kem-2': 'suspended' });
    await store.transition('kem-2', 'compromised', 'test');
    expect(await follow(store, listed)).to.deep.equal({ 'kem-1': 'deactivated', 'kem-2': 'compromised' });
    store.close();
  });

  it('changes nothing where the roster lists another key for it, or does not list it', async () => {
    const { store } = await newStore();
    await store.createKem(2, 'pre-activation', 'rotate');
    const listed = await rosterOf(store, 2, 2, { oldestOpenEpoch: 2 });
    const others = listed.body.custodians.map((custodian) =>
      custodian.id === store.id ? { ...custodian, kem: new Uint8Array(1216) } : custodian,
    );
    const before = { 'kem-1': 'active', 'kem-2': 'pre-activation' };
    for (const custodians of [others, others.slice(1)]) {
      expect(await follow(store, { ...listed, body: { ...listed.body, custodians } })).to.deep.equal(before);
    }
    store.close();
  });
});

describe('another role that follows a roster', () => {
  it("has the owner's listed key active", async () => {
    const { store } = await newStore({
      role: 'owner',
      id: 'owner',
      kem: { epoch: 1, state: 'pre-activation' },
    });
    expect(await follow(store, await rosterOf(store, 1, 2))).to.deep.equal({ 'kem-1': 'active' });
    store.close();
  });

  it("keeps a client's keys as they are, which no roster lists", async () => {
    const { store } = await newStore({ role: 'client', id: 'robot-1', prf: true });
    await store.createKem(2, 'active');
    const roster = await rosterOf(store, 2, 2, { oldestOpenEpoch: 2 });
    expect(await follow(store, roster)).to.deep.equal({ 'kem-1': 'active', 'kem-2': 'active' });
    store.close();
  });
});
