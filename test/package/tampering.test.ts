import { expect } from 'chai';
import fc from 'fast-check';
import { TensorGuardError } from '../../lib/errors.js';
import { readEnvelope } from '../../lib/package/envelope.js';
import { encodePrefix } from '../../lib/package/layout.js';
import { MESSAGE_KINDS, type MessageKind } from '../../lib/package/messages/registry.js';
import { openAnyContainer, openContainer } from '../../lib/package/reader.js';
import type { SigningKey } from '../../lib/package/signing-key.js';
import { containerBytes, encodeContainer } from '../../lib/package/writer.js';
import { codeOf, ed25519Key, hybridKey, smallFile, smallInput, updateWith } from './fixtures.js';

/** Everything that a careful reader does. */
async function readFully(
  bytes: Uint8Array,
  kind: MessageKind,
  signer: SigningKey = ed25519Key,
): Promise<void> {
  const container = await openContainer(bytes, kind);
  await container.verify(signer.publicKeys, signer.algorithms);
  await container.verifySections();
}

function flipped(bytes: Uint8Array, at: number, mask: number): Uint8Array {
  const changed = Uint8Array.from(bytes);
  changed[at] = (changed[at] as number) ^ mask;
  return changed;
}

describe('a small file of each kind', () => {
  for (const kind of MESSAGE_KINDS) {
    describe(kind, () => {
      let bytes: Uint8Array;

      before(async () => {
        bytes = await smallFile(kind);
      });

      it('is accepted as it is', () => readFully(bytes, kind));

      it('is refused when it is cut, after whichever byte', async () => {
        for (let length = 0; length < bytes.length; length++) {
          const code = await codeOf(() => openContainer(bytes.subarray(0, length), kind));
          expect(code, `${length} bytes`).to.equal('container.truncated');
        }
      });

      it('is refused when anything follows', async () => {
        for (const extra of [1, 2, 1000]) {
          const longer = new Uint8Array(bytes.length + extra);
          longer.set(bytes);
          expect(await codeOf(() => openContainer(longer, kind))).to.equal('container.trailing-bytes');
        }
      });

      it('is refused when any byte of it is another', async () => {
        // A roster is mostly KEM keys: every eleventh byte of it will do.
        const step = bytes.length > 2000 ? 11 : 1;
        for (let at = 0; at < bytes.length; at += step) {
          for (const mask of [0x01, 0x20, 0xff]) {
            const code = await codeOf(() => readFully(flipped(bytes, at, mask), kind));
            expect(code, `byte ${at} xor ${mask}`).to.match(/^container\./);
          }
        }
      });
    });
  }
});

describe('a file with both signatures', () => {
  it('is refused when any of some hundred bytes, spread over it, is another', async () => {
    const bytes = await smallFile('close', hybridKey);
    for (let at = 0; at < bytes.length; at += 37) {
      const code = await codeOf(() => readFully(flipped(bytes, at, 0x10), 'close', hybridKey));
      expect(code, `byte ${at}`).to.match(/^container\./);
    }
  });
});

describe('random damage', () => {
  const damage = fc.array(
    fc.record({
      how: fc.constantFrom('overwrite', 'insert', 'remove', 'repeat'),
      at: fc.nat(),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 12 }),
    }),
    { minLength: 1, maxLength: 4 },
  );

  function damaged(
    original: Uint8Array,
    steps: { how: string; at: number; bytes: Uint8Array }[],
  ): Uint8Array {
    let file = Buffer.from(original);
    for (const { how, at, bytes } of steps) {
      const from = at % (file.length + 1);
      const head = file.subarray(0, from);
      const tail = file.subarray(from);
      if (how === 'overwrite') file = Buffer.concat([head, bytes, tail.subarray(bytes.length)]);
      else if (how === 'insert') file = Buffer.concat([head, bytes, tail]);
      else if (how === 'remove') file = Buffer.concat([head, tail.subarray(bytes.length)]);
      else file = Buffer.concat([head, tail.subarray(0, bytes.length), tail]);
    }
    return file;
  }

  for (const kind of ['update', 'aggregate', 'close'] as const) {
    it(`to a file of kind ${kind} is always refused with a code`, async () => {
      const original = await smallFile(kind);
      await fc.assert(
        fc.asyncProperty(damage, async (steps) => {
          const bytes = damaged(original, steps);
          fc.pre(Buffer.compare(bytes, original) !== 0);
          expect(await codeOf(() => readFully(bytes, kind))).to.match(/^container\./);
        }),
        { numRuns: 1000 },
      );
    });
  }

  it('or random bytes after a valid prefix, end in a coded error and nothing else', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 200 }),
        fc.uint8Array({ maxLength: 50 }),
        async (header, block) => {
          const bytes = Buffer.concat([encodePrefix(header.length, block.length), header, block]);
          expect(await codeOf(() => openAnyContainer(bytes))).to.match(/^container\./);
          expect(await codeOf(() => readEnvelope(bytes, 'update'))).to.match(/^container\./);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('to the bytes between opening and reading is found out', async () => {
    const bytes = containerBytes(await encodeContainer(updateWith(Uint8Array.of(1, 2, 3))));
    const container = await openContainer(bytes, 'update');
    bytes[bytes.length - 1] = 9;
    expect(await codeOf(() => container.verifySections())).to.equal('container.digest-mismatch');
  });
});

describe('parts of two files of one signer', () => {
  it('do not make a third', async () => {
    const one = await encodeContainer(updateWith(Uint8Array.of(1, 2, 3)));
    const two = await encodeContainer(updateWith(Uint8Array.of(4, 5, 6)));
    const sectionsOf = (encoded: typeof one): Uint8Array =>
      containerBytes(encoded).subarray(encoded.envelope.envelopeBytes.length);
    const mixed = Buffer.concat([one.envelope.envelopeBytes, sectionsOf(two)]);
    expect(await codeOf(() => readFully(mixed, 'update'))).to.equal('container.digest-mismatch');
    const headerOfOne = one.envelope.envelopeBytes.subarray(0, 20 + one.envelope.headerBytes.length);
    const blockOfTwo = two.envelope.envelopeBytes.subarray(20 + two.envelope.headerBytes.length);
    const swapped = Buffer.concat([headerOfOne, blockOfTwo, sectionsOf(one)]);
    expect(await codeOf(() => readFully(swapped, 'update'))).to.equal('container.bad-signature');
  });
});

describe('a refusal', () => {
  it('is an error of the package, with its code, and says what to do', async () => {
    try {
      await openContainer(Buffer.from('PK\u0003\u0004 this is a zip file'), 'update');
      expect.fail('it was accepted');
    } catch (error) {
      expect(error)
        .to.be.instanceOf(TensorGuardError)
        .and.to.include({ code: 'container.bad-magic', exitCode: 1 });
    }
  });

  it('names the field, and does not spell out a thousand of them', async () => {
    const input = smallInput('aggregate');
    const refused = Array.from({ length: 1000 }, () => ({ source: '', code: 'x', message: 'm' }));
    try {
      await encodeContainer({ ...input, body: { ...input.body, refused } });
      expect.fail('it was accepted');
    } catch (error) {
      const { message } = error as Error;
      expect(message)
        .to.include('body.refused.0.source')
        .and.to.match(/and \d+ more$/);
      expect(message.length).to.be.lessThan(1000);
    }
  });
});
