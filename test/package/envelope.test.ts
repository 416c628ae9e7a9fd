import { expect } from 'chai';
import { readEnvelope } from '../../lib/package/envelope.js';
import { openContainer } from '../../lib/package/reader.js';
import { containerBytes, encodeContainer } from '../../lib/package/writer.js';
import { codeOf, ed25519Key, hybridKey, smallBodies, smallFile, smallInput } from './fixtures.js';

describe('an envelope', () => {
  it('stands alone, with the same fingerprint', async () => {
    const container = await openContainer(await smallFile('update', hybridKey), 'update');
    const envelope = readEnvelope(container.envelopeBytes, 'update');
    expect(envelope.fingerprint).to.deep.equal(container.fingerprint);
    expect(envelope.header).to.deep.equal(container.header);
    await envelope.verify(hybridKey.publicKeys, ['ed25519', 'ml-dsa-65']);
  });

  it('is refused with anything after it, cut, or as another kind', async () => {
    const { envelopeBytes } = (await encodeContainer(smallInput('update'))).envelope;
    const longer = Buffer.concat([envelopeBytes, Uint8Array.of(0)]);
    expect(await codeOf(() => readEnvelope(longer, 'update'))).to.equal('container.trailing-bytes');
    expect(await codeOf(() => readEnvelope(envelopeBytes, 'plan'))).to.equal('container.wrong-kind');
    for (let length = 0; length < envelopeBytes.length; length++) {
      const cut = () => readEnvelope(envelopeBytes.subarray(0, length), 'update');
      expect(await codeOf(cut)).to.equal('container.truncated');
    }
  });

  it('is a copy of the bytes it was read from', async () => {
    const bytes = Buffer.from((await encodeContainer(smallInput('update'))).envelope.envelopeBytes);
    const envelope = readEnvelope(bytes, 'update');
    bytes.fill(0);
    await envelope.verify(ed25519Key.publicKeys, ['ed25519']);
    expect(envelope.header.signer).to.deep.equal(ed25519Key.keyId);
  });

  it('can be cut out of an aggregate, by the lengths it gives', async () => {
    const updates = await Promise.all(
      ['client-01', 'client-02', 'client-03'].map((client) =>
        encodeContainer({ ...smallInput('update'), body: { ...smallBodies().update, client } }),
      ),
    );
    const sorted = updates
      .map(({ envelope }) => envelope)
      .sort((a, b) => Buffer.compare(a.fingerprint, b.fingerprint));
    const body = {
      ...smallBodies().aggregate,
      accepted: sorted.map(({ body: { client }, fingerprint: update }) => ({ client, update })),
      envelopeLengths: sorted.map(({ envelopeBytes }) => envelopeBytes.length),
      shareLengths: [0, 0, 0],
    };
    const envelopes = Uint8Array.from(Buffer.concat(sorted.map(({ envelopeBytes }) => envelopeBytes)));
    const sections = [
      { name: 'ciphertext', data: new Uint8Array() },
      { name: 'envelopes', data: envelopes },
      { name: 'shares', data: new Uint8Array() },
    ];
    const encoded = await encodeContainer({ ...smallInput('aggregate'), body, sections });
    const aggregate = await openContainer(containerBytes(encoded), 'aggregate');
    const all = await aggregate.readSection('envelopes');
    let at = 0;
    for (const [i, length] of aggregate.body.envelopeLengths.entries()) {
      const envelope = readEnvelope(all.subarray(at, at + length), 'update');
      expect(envelope.fingerprint).to.deep.equal(aggregate.body.accepted[i]?.update);
      expect(envelope.body.client).to.equal(aggregate.body.accepted[i]?.client);
      at += length;
    }
    expect(at).to.equal(all.length);
  });
});
