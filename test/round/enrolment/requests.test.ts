import { join } from 'node:path';
import { expect } from 'chai';
import Database from 'libsql';
import { hex } from '../../../lib/custody/fields.js';
import { KeyStore, type NewKeyStore } from '../../../lib/custody/keys/key-store.js';
import { rotate } from '../../../lib/custody/keys/rotation.js';
import { ParameterError } from '../../../lib/errors.js';
import { readEnrolment, requestEnrolment } from '../../../lib/round/enrolment/requests.js';
import { hybridKey, smallFile } from '../../package/fixtures.js';
import { expectRefusal } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { signAgain } from '../support/forgery.js';
import { clientFile, numberedKem, signingKey } from './support/enrolments.js';

describe('an enrolment that the owner reads', () => {
  let file: Uint8Array;
  before(async () => {
    file = await clientFile('robot-09');
  });

  it('says whose keys it brings, with every byte of it', async () => {
    const { body, file: bytes } = await readEnrolment(file, 'acme');
    expect(body).to.deep.include({ role: 'client', id: 'robot-09', keys: signingKey('robot-09').publicKeys });
    expect(bytes).to.deep.equal(file);
  });

  it('is signed with all of the keys that it lists', async () => {
    const hybrid = await clientFile('robot-09', {}, hybridKey);
    expect((await readEnrolment(hybrid, 'acme')).body.keys).to.deep.equal(hybridKey.publicKeys);
    const { ed25519 } = hybridKey.publicKeys;
    // A key listed beside its own that the signer does not show it holds, and one that it leaves out.
    for (const keys of [
      { ...signingKey('robot-09').publicKeys, 'ml-dsa-65': hybridKey.publicKeys['ml-dsa-65'] },
      { ed25519 },
    ]) {
      await expectRefusal('container.wrong-signer', async () =>
        readEnrolment(await signAgain('enrolment', hybrid, hybridKey, { body: { keys } as never }), 'acme'),
      );
    }
  });

  it('is refused where another key signed it: a key of somebody else is not to be had', async () => {
    const thief = signingKey('thief');
    await expectRefusal('container.wrong-signer', async () =>
      readEnrolment(await signAgain('enrolment', file, thief), 'acme'),
    );
    await expectRefusal('container.wrong-signer', () =>
      clientFile('robot-09', { keys: signingKey('robot-09').publicKeys }, thief),
    );
  });

  it('names the owner, or founds a fleet: another fleet of that name does not get its machine', async () => {
    const { message } = await expectRefusal('enrolment.no-owner', () =>
      readEnrolment(file, 'acme', new Uint8Array(32).fill(1)),
    );
    expect(message).to.include('--owner-key-id 0101');
    await readEnrolment(file, 'acme');
  });

  it('is refused in another fleet, and where its machine was told of another owner', async () => {
    const ownerKeyId = new Uint8Array(32).fill(1);
    const message = await expectRefusal('roster.other-fleet', () => readEnrolment(file, 'emca'));
    expect(message.message).to.include('"acme"').and.to.include('"emca"');
    const told = await clientFile('robot-09', { ownerKeyId });
    await readEnrolment(told, 'acme', ownerKeyId);
    await expectRefusal('enrolment.other-owner', () =>
      readEnrolment(told, 'acme', new Uint8Array(32).fill(2)),
    );
  });

  it('is refused where any bit of it was changed', async () => {
    let refused = 0;
    for (let at = 0; at < file.length; at += 7) {
      const changed = Uint8Array.from(file);
      changed[at] = (changed[at] as number) ^ (1 << (at % 8));
      const outcome = await readEnrolment(changed, 'acme').then(
        () => 'accepted',
        (error: { code?: string }) => error.code ?? String(error),
      );
      expect(outcome, `byte ${at}`).to.match(/^container\./);
      refused += 1;
    }
    expect(refused).to.be.above(150);
  });

  it('is refused where it is cut, longer, too long, or of another kind', async () => {
    await expectRefusal('container.truncated', () => readEnrolment(file.subarray(0, -1), 'acme'));
    await expectRefusal('container.trailing-bytes', () =>
      readEnrolment(Uint8Array.from([...file, 0]), 'acme'),
    );
    await expectRefusal('container.too-large', () => readEnrolment(new Uint8Array(1 << 17), 'acme'));
    await expectRefusal('container.wrong-kind', async () => readEnrolment(await smallFile('roster'), 'acme'));
    await expectRefusal('container.unreadable', () => readEnrolment('/nowhere/robot.tge', 'acme'));
  });

  it('is refused with a KEM key to which nothing can be sealed', async () => {
    const bad = await clientFile('robot-09', { kem: numberedKem(0xff) });
    const error = await expectRefusal('hpke.bad-public-key', () => readEnrolment(bad, 'acme'));
    expect(error).to.be.instanceOf(ParameterError);
  });
});

describe('an enrolment that a machine asks with', () => {
  const inStore = async (
    options: Pick<NewKeyStore, 'role'> & Partial<NewKeyStore>,
    use: (store: KeyStore) => Promise<void>,
  ): Promise<void> => {
    const store = await KeyStore.create(join(await temporaryDirectory(), 'role'), {
      ...{ id: 'robot-09', fleet: 'acme', algorithms: ['ed25519'], wrapper: { kind: 'none' } },
      ...options,
    });
    try {
      await use(store);
    } finally {
      store.close();
    }
  };
  const kem = { epoch: 1, state: 'active' } as const;

  it('is not made by the owner, which signs the roster', async () => {
    await inStore({ role: 'owner', kem }, async (store) => {
      const { message } = await expectRefusal('enrolment.wrong-role', () => requestEnrolment(store));
      expect(message).to.include('owner');
    });
  });

  it('brings no KEM key to which nobody should seal', async () => {
    await inStore({ role: 'client', kem }, async (store) => {
      const { body } = await readEnrolment(await requestEnrolment(store), 'acme');
      expect(body.kem).to.deep.equal(store.newestKem()?.publicKey);
      await store.transition('kem-1', 'compromised', 'the disk was copied');
      const { message } = await expectRefusal('enrolment.no-kem-key', () => requestEnrolment(store));
      expect(message).to.include('compromised').and.to.include('keys rotate');
      const { key } = await rotate(store);
      const next = await readEnrolment(await requestEnrolment(store), 'acme');
      expect(next.body.kem).to.deep.equal(key.publicKey);
    });
    await inStore({ role: 'client' }, async (store) => {
      const { message } = await expectRefusal('enrolment.no-kem-key', () => requestEnrolment(store));
      expect(message).to.include('not there');
    });
  });

  it('does not bring a key that somebody put into the database in the place of its own', async () => {
    await inStore({ role: 'client', kem }, async (store) => {
      const database = new Database(join(store.directory, 'keystore.sqlite'));
      database.exec(`UPDATE key SET public_key = X'${hex(numberedKem(7))}' WHERE name = 'kem-1'`);
      database.close();
      expect(store.newestKem()?.publicKey).to.deep.equal(numberedKem(7));
      await expectRefusal('audit.bad-entry', () => requestEnrolment(store));
    });
  });

  it('of a role that nothing is sealed to needs none', async () => {
    await inStore({ role: 'aggregator' }, async (store) => {
      const { body } = await readEnrolment(await requestEnrolment(store), 'acme');
      expect(body).to.have.all.keys('fleet', 'role', 'id', 'keys');
    });
  });
});
