import { inspect } from 'node:util';
import { expect } from 'chai';
import { generateKemKey, type KemKey, SEAL_OVERHEAD_BYTES } from '../../../lib/custody/hpke.js';
import {
  kemDigest,
  openWrap,
  ownSlot,
  readWrap,
  sealWraps,
  type WrapBinding,
  type WrappedRelease,
  wrapInfo,
} from '../../../lib/custody/release/wraps.js';
import { SecretBytes } from '../../../lib/custody/secret-bytes.js';
import { RELEASE_WRAP_BYTES } from '../../../lib/package/messages/release.js';
import { expectRefusal } from '../../support/refusals.js';
import { bytes32, withBitFlipped } from '../support/bytes.js';

const OWNER = bytes32('owner');

describe("the wraps of a release's content key", () => {
  const contentKey = bytes32('content key');
  const clients = ['client-1', 'client-2', 'client-3'];
  let keys: Map<string, KemKey>;
  let release: WrappedRelease;
  let section: Uint8Array;

  before(async () => {
    keys = new Map();
    for (const client of clients) keys.set(client, await generateKemKey());
    release = {
      fleet: 'acme',
      policy: 'pick',
      counter: 7,
      adapterFingerprint: bytes32('adapter'),
      recipients: clients.map((client) => ({
        client,
        kem: kemDigest((keys.get(client) as KemKey).publicKey),
      })),
    };
    const publicKeys = new Map([...keys].map(([client, { publicKey }]) => [client, publicKey]));
    section = await sealWraps(release, OWNER, publicKeys, new SecretBytes(Uint8Array.from(contentKey)));
  });

  const slotBytes = (slot: number): Uint8Array =>
    section.subarray(slot * RELEASE_WRAP_BYTES, (slot + 1) * RELEASE_WRAP_BYTES);

  async function opened(
    slot: number,
    wrap: Uint8Array,
    as: WrappedRelease = release,
    owner = OWNER,
    client = clients[slot] as string,
  ): Promise<Uint8Array> {
    const { seed } = keys.get(client) as KemKey;
    return (await openWrap(as, owner, slot, wrap, seed)).use((key) => Uint8Array.from(key));
  }

  it('have a fixed length: a sealed key of 32 bytes', () => {
    expect(RELEASE_WRAP_BYTES).to.equal(SEAL_OVERHEAD_BYTES + 32);
    expect(section.length).to.equal(3 * RELEASE_WRAP_BYTES);
  });

  it('open to the content key for each recipient', async () => {
    for (const [slot, client] of clients.entries()) {
      expect(ownSlot(release, client)).to.equal(slot);
      expect(await opened(slot, slotBytes(slot))).to.deep.equal(contentKey);
    }
  });

  it('do not open in the slot of another client, nor with the key of another', async () => {
    await expectRefusal('hpke.open-failed', () => opened(1, slotBytes(0)));
    // A holds its own wrap, and the header names A's key in B's slot as well.
    const crossed = { ...release, recipients: release.recipients.map((each) => ({ ...each })) };
    (crossed.recipients[1] as { kem: Uint8Array }).kem = release.recipients[0]?.kem as Uint8Array;
    await expectRefusal('hpke.open-failed', () => opened(1, slotBytes(0), crossed, OWNER, 'client-1'));
    await expectRefusal('hpke.open-failed', () => opened(0, slotBytes(0), release, OWNER, 'client-2'));
  });

  it('do not open in another release', async () => {
    const others: WrappedRelease[] = [
      { ...release, fleet: 'acme2' },
      { ...release, policy: 'place' },
      { ...release, counter: 8 },
      { ...release, adapterFingerprint: bytes32('another adapter') },
    ];
    for (const other of others) await expectRefusal('hpke.open-failed', () => opened(0, slotBytes(0), other));
    await expectRefusal('hpke.open-failed', () => opened(0, slotBytes(0), release, bytes32('another owner')));
  });

  it('do not open once a bit of them was flipped', async () => {
    for (const place of [0, 1119, 1120, 1151, 1152, 1167]) {
      await expectRefusal('hpke.open-failed', () => opened(2, withBitFlipped(slotBytes(2), place)));
    }
  });

  it('are read from a stream, wherever its pieces end', async () => {
    async function* pieces(sizeBytes: number): AsyncGenerator<Uint8Array, void, void> {
      for (let at = 0; at < section.length; at += sizeBytes) yield section.subarray(at, at + sizeBytes);
    }
    for (const sizeBytes of [
      1,
      7,
      RELEASE_WRAP_BYTES - 1,
      RELEASE_WRAP_BYTES,
      RELEASE_WRAP_BYTES + 1,
      1 << 20,
    ]) {
      for (const slot of clients.keys()) {
        const wrap = await readWrap(pieces(sizeBytes), slot);
        expect(Buffer.compare(wrap, slotBytes(slot)), `slot ${slot}, pieces of ${sizeBytes}`).to.equal(0);
      }
    }
  });

  it('are not for a client that is not listed', async () => {
    await expectRefusal('release.not-a-recipient', () => ownSlot(release, 'client-4'));
  });

  it('are bound to every field of their info', () => {
    const binding: WrapBinding = {
      fleet: 'acme',
      policy: 'pick',
      counter: 7,
      client: 'client-1',
      kem: bytes32('kem'),
      adapterFingerprint: bytes32('adapter'),
      ownerKeyId: OWNER,
    };
    const changed: Partial<WrapBinding>[] = [
      { fleet: 'pick', policy: 'acme' },
      { policy: 'pickclient-1' },
      { counter: 8 },
      { client: 'client-2' },
      { kem: bytes32('adapter'), adapterFingerprint: bytes32('kem') },
      { adapterFingerprint: bytes32('other') },
      { ownerKeyId: bytes32('other') },
    ];
    const infos = [{}, ...changed].map((change) =>
      Buffer.from(wrapInfo({ ...binding, ...change })).toString('hex'),
    );
    expect(new Set(infos).size).to.equal(infos.length);
    for (const field of ['kem', 'adapterFingerprint', 'ownerKeyId'] as const) {
      expect(() => wrapInfo({ ...binding, [field]: new Uint8Array(31) })).to.throw(/31 bytes/);
    }
  });

  it('show no key where they do not open', async () => {
    const error = await expectRefusal('hpke.open-failed', () => opened(1, slotBytes(0)));
    const shown = inspect(error, { depth: 10, showHidden: true });
    for (const secret of [
      contentKey,
      (keys.get('client-2') as KemKey).seed.use((seed) => Uint8Array.from(seed)),
    ]) {
      expect(shown).not.to.include(Buffer.from(secret).toString('hex'));
    }
  });
});
