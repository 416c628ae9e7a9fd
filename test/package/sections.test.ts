import { expect } from 'chai';
import { CHUNK_BYTES } from '../../lib/package/layout.js';
import { Container, openContainer } from '../../lib/package/reader.js';
import { containerBytes, encodeContainer } from '../../lib/package/writer.js';
import {
  codeOf,
  collect,
  ed25519Key,
  filled,
  patterned,
  smallFile,
  smallInput,
  updateWith,
} from './fixtures.js';

describe('the sections of a container', () => {
  it('are read into memory of exactly their length', async () => {
    const container = await openContainer(await smallFile('update'), 'update');
    const target = new Uint8Array(5);
    await container.readSectionInto('ciphertext', target);
    expect(target).to.deep.equal(Uint8Array.of(1, 2, 3, 4, 5));
    for (const length of [0, 4, 6]) {
      const read = () => container.readSectionInto('ciphertext', new Uint8Array(length));
      expect(await codeOf(read)).to.equal('container.wrong-length');
    }
  });

  it('may be empty', async () => {
    const empty = containerBytes(await encodeContainer(updateWith(new Uint8Array())));
    const container = await openContainer(empty, 'update');
    await container.verifySections();
    expect(await container.readSection('ciphertext')).to.have.length(0);
    expect(await collect(container.streamSection('ciphertext'))).to.deep.equal([]);
  });

  it('are copies: later changes to the bytes that were opened do not reach them', async () => {
    const bytes = await smallFile('update');
    const container = await openContainer(bytes, 'update');
    const shares = await container.readSection('shares');
    bytes.fill(0);
    expect(shares).to.deep.equal(Uint8Array.of(6, 7));
    await container.verify(ed25519Key.publicKeys, ['ed25519']);
  });

  it('are only those that the kind has', async () => {
    const container = await openContainer(await smallFile('update'), 'update');
    for (const name of ['sealed', '', '__proto__', 'constructor']) {
      expect(await codeOf(() => container.readSection(name))).to.equal('container.no-such-section');
      expect(await codeOf(() => collect(container.streamSection(name)))).to.equal(
        'container.no-such-section',
      );
    }
  });

  it('are not read any more once a stream was left', async () => {
    const encoded = await encodeContainer(updateWith(patterned(3 * CHUNK_BYTES)));
    const bytes = containerBytes(encoded);
    let underWay = 0;
    const slowSource = {
      sizeBytes: bytes.length,
      read: async (target: Uint8Array, position: number) => {
        underWay += 1;
        await new Promise((resolve) => setTimeout(resolve, 20));
        target.set(bytes.subarray(position, position + target.length));
        underWay -= 1;
      },
      close: async () => {},
    };
    const container = new Container(encoded.envelope.envelopeBytes, 'update', slowSource);
    for await (const _ of container.streamSection('ciphertext')) {
      expect(underWay).to.equal(1);
      break;
    }
    expect(underWay).to.equal(0);
  });

  it('are refused by the writer when one is missing, misplaced, or too many', async () => {
    const input = smallInput('update');
    const [ciphertext, shares] = input.sections ?? [];
    for (const sections of [[], [ciphertext], [shares, ciphertext], [ciphertext, shares, shares]]) {
      const encode = () =>
        encodeContainer({ ...input, sections: sections as typeof input.sections & object });
      expect(await codeOf(encode)).to.equal('container.wrong-sections');
    }
  });

  it('of an aggregate are as long as its body says', async () => {
    const input = smallInput('aggregate');
    const longer = (input.sections ?? []).map(({ name, data }) => ({
      name,
      data: name === 'envelopes' ? filled(42, 1) : data,
    }));
    expect(await codeOf(() => encodeContainer({ ...input, sections: longer }))).to.equal(
      'container.wrong-sections',
    );
  });
});

describe('a container with a section that was changed', () => {
  const ciphertext = patterned(3 * CHUNK_BYTES);
  let bytes: Uint8Array;
  let container: Container<'update'>;

  beforeEach(async () => {
    bytes = containerBytes(await encodeContainer(updateWith(ciphertext)));
    const at = bytes.length - CHUNK_BYTES + 17;
    bytes[at] = (bytes[at] as number) ^ 1;
    container = await openContainer(bytes, 'update');
  });

  it('still has a valid envelope', () => container.verify(ed25519Key.publicKeys, ['ed25519']));

  it('fails as a whole', async () => {
    expect(await codeOf(() => container.verifySections())).to.equal('container.digest-mismatch');
    expect(await codeOf(() => container.readSection('ciphertext'))).to.equal('container.digest-mismatch');
  });

  it('yields the mebibytes before the change, and not the changed one', async () => {
    const pieces: Uint8Array[] = [];
    const code = await codeOf(async () => {
      for await (const piece of container.streamSection('ciphertext')) pieces.push(piece);
    });
    expect(code).to.equal('container.digest-mismatch');
    expect(pieces).to.have.length(2);
    expect(Buffer.compare(Buffer.concat(pieces), ciphertext.subarray(0, 2 * CHUNK_BYTES))).to.equal(0);
  });

  it('fails when its turn comes, however long the caller takes before', async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown) => unhandled.push(reason);
    process.on('unhandledRejection', note);
    try {
      const stream = container.streamSection('ciphertext');
      await stream.next();
      await stream.next();
      // The third mebibyte is read ahead meanwhile, and found to be wrong.
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect(unhandled).to.deep.equal([]);
      expect(await codeOf(() => stream.next())).to.equal('container.digest-mismatch');
    } finally {
      process.off('unhandledRejection', note);
    }
  });

  it("leaves nothing in the caller's memory", async () => {
    const target = new Uint8Array(ciphertext.length).fill(9);
    expect(await codeOf(() => container.readSectionInto('ciphertext', target))).to.equal(
      'container.digest-mismatch',
    );
    expect(target.every((byte) => byte === 0)).to.equal(true);
  });
});
