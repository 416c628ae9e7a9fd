import { createHash, sign } from 'node:crypto';
import { encode as encodeWithCborg, rfc8949EncodeOptions } from 'cborg';
import { expect } from 'chai';
import fc from 'fast-check';
import { readEnvelope } from '../../lib/package/envelope.js';
import { MESSAGE_KINDS, type MessageKind } from '../../lib/package/messages/registry.js';
import { type Container, openAnyContainer, openContainer } from '../../lib/package/reader.js';
import { containerBytes, encodeContainer } from '../../lib/package/writer.js';
import {
  bytes32,
  CREATED,
  codeOf,
  ed25519Key,
  filled,
  hybridKey,
  otherKey,
  patterned,
  smallBodies,
  smallFile,
  smallInput,
  updateWith,
} from './fixtures.js';
import { messageArbitraries } from './message-arbitraries.js';

async function roundTrip<K extends MessageKind>(kind: K, runs: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(messageArbitraries[kind], fc.nat(2 ** 40), async ({ body, sections }, created) => {
      const encoded = await encodeContainer({ kind, body, sections, signer: ed25519Key, created });
      const container: Container<K> = await openContainer(containerBytes(encoded), kind);
      expect(container.body).to.deep.equal(body);
      expect(container.header.created).to.equal(created);
      expect(container.fingerprint).to.deep.equal(encoded.envelope.fingerprint);
      await container.verify(ed25519Key.publicKeys, ['ed25519']);
      await container.verifySections();
      for (const { name, data } of sections) expect(await container.readSection(name)).to.deep.equal(data);
      const envelope = readEnvelope(encoded.envelope.envelopeBytes, kind);
      expect(envelope.body).to.deep.equal(body);
      await envelope.verify(ed25519Key.publicKeys, ['ed25519']);
    }),
    { numRuns: runs },
  );
}

describe('a container', () => {
  for (const kind of MESSAGE_KINDS) {
    it(`returns what was put into it: ${kind}`, () => roundTrip(kind, 60));
  }

  it('lies in the file as the protocol says, put together here by hand', async () => {
    const body = smallBodies().answer;
    const sealed = filled(11, 4);
    const header = encodeWithCborg(
      {
        v: 1,
        kind: 'answer',
        algs: ['ed25519'],
        signer: ed25519Key.keyId,
        created: CREATED,
        sections: [{ name: 'sealed', length: 11, digests: [createHash('sha256').update(sealed).digest()] }],
        body,
      },
      rfc8949EncodeOptions,
    );
    const payloadType = 'application/vnd.tensorguard.answer+cbor';
    const message = Buffer.concat([
      Buffer.from(`DSSEv1 ${payloadType.length} ${payloadType} ${header.length} `),
      header,
    ]);
    const seed = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), bytes32(1)]);
    const sig = sign(null, message, { key: seed, format: 'der', type: 'pkcs8' });
    const signatures = encodeWithCborg(
      [{ alg: 'ed25519', keyId: ed25519Key.keyId, sig }],
      rfc8949EncodeOptions,
    );
    const lengths = Buffer.alloc(8);
    lengths.writeUInt32LE(header.length, 0);
    lengths.writeUInt32LE(signatures.length, 4);
    const prefix = Buffer.from('8954474e0d0a1a0a01000000', 'hex');
    const byHand = Buffer.concat([prefix, lengths, header, signatures, sealed]);

    expect(Buffer.from(await smallFile('answer')).toString('hex')).to.equal(byHand.toString('hex'));
    const container = await openContainer(byHand, 'answer');
    await container.verify(ed25519Key.publicKeys, ['ed25519']);
    expect(container.fingerprint).to.deep.equal(
      Uint8Array.from(createHash('sha256').update(header).digest()),
    );
  });

  it('has the same bytes for the same content, with both signature algorithms', async () => {
    expect(await smallFile('update', hybridKey)).to.deep.equal(await smallFile('update', hybridKey));
    const { body, ...input } = smallInput('update');
    const reordered = Object.fromEntries(Object.entries(body).reverse()) as typeof body;
    const again = await encodeContainer({ ...input, body: { ...reordered, baseModel: undefined } });
    expect(containerBytes(again)).to.deep.equal(await smallFile('update'));
  });

  it('has another fingerprint when any byte of a section differs', async () => {
    const prints = new Set<string>();
    for (const data of [
      [1, 2],
      [1, 3],
      [2, 2],
      [1, 2, 0],
    ]) {
      const { envelope } = await encodeContainer(updateWith(Uint8Array.from(data)));
      prints.add(Buffer.from(envelope.fingerprint).toString('hex'));
    }
    expect(prints.size).to.equal(4);
  });

  it('carries the time it was made, now unless told', async () => {
    const { created: _, ...input } = smallInput('close');
    const before = Date.now();
    const { envelope } = await encodeContainer(input);
    expect(envelope.header.created).to.be.within(before, Date.now());
  });

  it('verifies with both algorithms', async () => {
    const container = await openContainer(await smallFile('plan', hybridKey), 'plan');
    await container.verify(hybridKey.publicKeys, ['ed25519', 'ml-dsa-65']);
    expect(container.header.algs).to.deep.equal(['ed25519', 'ml-dsa-65']);
    expect(await codeOf(() => container.verify(otherKey.publicKeys, ['ed25519']))).to.equal(
      'container.wrong-signer',
    );
  });

  it('does not pass for post-quantum when signed with Ed25519 alone', async () => {
    const container = await openContainer(await smallFile('plan'), 'plan');
    const verify = () => container.verify(ed25519Key.publicKeys, ['ed25519', 'ml-dsa-65']);
    expect(await codeOf(verify)).to.equal('container.algorithm-missing');
  });

  it('opens as the expected kind only', async () => {
    for (const actual of MESSAGE_KINDS) {
      const bytes = await smallFile(actual);
      for (const expected of MESSAGE_KINDS) {
        if (expected === actual) continue;
        expect(await codeOf(() => openContainer(bytes, expected))).to.equal('container.wrong-kind');
      }
      expect((await openAnyContainer(bytes)).kind).to.equal(actual);
    }
  });

  it('does not copy sections as it is encoded', async () => {
    const ciphertext = patterned(100);
    const { parts } = await encodeContainer(updateWith(ciphertext));
    expect(parts[1]).to.equal(ciphertext);
  });

  describe('limits', () => {
    it('refuse a file larger than the caller allows, before anything of it is read', async () => {
      const bytes = await smallFile('update');
      await openContainer(bytes, 'update', { maxFileBytes: bytes.length });
      const open = () => openContainer(bytes, 'update', { maxFileBytes: bytes.length - 1 });
      expect(await codeOf(open)).to.equal('container.too-large');
    });

    it('refuse to write a header that no reader would accept', async () => {
      const refused = Array.from({ length: 8200 }, () => ({
        source: 's',
        code: 'a.b',
        message: 'x'.repeat(2048),
      }));
      const encode = () =>
        encodeContainer({ ...smallInput('aggregate'), body: { ...smallBodies().aggregate, refused } });
      expect(await codeOf(encode)).to.equal('container.too-large');
    });

    it('refuse to write a time that is none', async () => {
      for (const created of [-1, 0.5, 2 ** 53]) {
        const encode = () => encodeContainer({ ...smallInput('close'), created });
        expect(await codeOf(encode)).to.equal('container.invalid-header');
      }
    });
  });
});
