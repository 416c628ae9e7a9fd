import { encode as encodeWithCborg, rfc8949EncodeOptions } from 'cborg';
import { expect } from 'chai';
import { encodePrefix } from '../../lib/package/layout.js';
import { openAnyContainer, openContainer } from '../../lib/package/reader.js';
import { importSecret, type SigningKey } from '../../lib/package/signing-key.js';
import { encodeContainer } from '../../lib/package/writer.js';
import {
  bytes32,
  codeOf,
  ed25519Key,
  filled,
  hybridKey,
  otherKey,
  smallBodies,
  smallFile,
  smallInput,
} from './fixtures.js';
import { type Entry, forge } from './forgery.js';

const openUpdate = (bytes: Uint8Array) => () => openContainer(bytes, 'update');

describe('a validly signed header', () => {
  it('is accepted where nothing was forged', async () => {
    expect(await forge('update')).to.deep.equal(await smallFile('update'));
  });

  const body = smallBodies().update;
  const section = (changes: object) => ({ name: 'ciphertext', length: 5, digests: [bytes32(1)], ...changes });
  const shares = { name: 'shares', length: 2, digests: [bytes32(2)] };
  const refused: [string, Record<string, unknown>, string][] = [
    ['of another version than the prefix', { v: 2 }, 'container.unknown-version'],
    ['of version 0', { v: 0 }, 'container.invalid-header'],
    ['of a kind that does not exist', { kind: 'greeting' }, 'container.wrong-kind'],
    ['of a kind named like a property of objects', { kind: 'constructor' }, 'container.wrong-kind'],
    ['of a kind that is no text', { kind: 1 }, 'container.invalid-header'],
    ['without signature algorithms', { algs: [] }, 'container.invalid-header'],
    ['with an unknown signature algorithm', { algs: ['ed25519', 'rsa'] }, 'container.invalid-header'],
    ['with ML-DSA-65 alone', { algs: ['ml-dsa-65'] }, 'container.invalid-header'],
    ['with algorithms out of order', { algs: ['ml-dsa-65', 'ed25519'] }, 'container.invalid-header'],
    ['with an algorithm twice', { algs: ['ed25519', 'ed25519'] }, 'container.invalid-header'],
    ['with a short signer id', { signer: filled(31, 1) }, 'container.invalid-header'],
    ['with a negative time', { created: -1 }, 'container.invalid-header'],
    ['with a fractional time', { created: 1.5 }, 'container.invalid-header'],
    ['with a time after the year 9999', { created: 253_402_300_800_000 }, 'container.invalid-header'],
    ['with one more field', { more: 1 }, 'container.invalid-header'],
    ['with null for a field', { created: null }, 'container.not-canonical'],
    ['with sections that are no list', { sections: {} }, 'container.invalid-header'],
    ['without its sections', { sections: [] }, 'container.wrong-sections'],
    ['with one section too few', { sections: [section({})] }, 'container.wrong-sections'],
    ['with one section too many', { sections: [section({}), shares, shares] }, 'container.wrong-sections'],
    ['with sections in another order', { sections: [shares, section({})] }, 'container.wrong-sections'],
    [
      'with a section of another name',
      { sections: [section({ name: 'cipher' }), shares] },
      'container.wrong-sections',
    ],
    [
      'with a section named as a path',
      { sections: [section({ name: '../x' }), shares] },
      'container.invalid-header',
    ],
    [
      'with a negative section length',
      { sections: [section({ length: -5 }), shares] },
      'container.invalid-header',
    ],
    [
      'with a fractional section length',
      { sections: [section({ length: 5.5 }), shares] },
      'container.invalid-header',
    ],
    [
      'with a section length of 2^53 - 1',
      { sections: [section({ length: 2 ** 53 - 1 }), shares] },
      'container.invalid-header',
    ],
    [
      'with a section of 2^40 bytes and one digest',
      { sections: [section({ length: 2 ** 40 }), shares] },
      'container.wrong-sections',
    ],
    [
      'with a section without digests',
      { sections: [section({ digests: [] }), shares] },
      'container.wrong-sections',
    ],
    [
      'with a digest too many',
      { sections: [section({ digests: [bytes32(1), bytes32(1)] }), shares] },
      'container.wrong-sections',
    ],
    [
      'with a digest of an empty section',
      { sections: [section({ length: 0 }), shares] },
      'container.wrong-sections',
    ],
    [
      'with a short digest',
      { sections: [section({ digests: [filled(31, 1)] }), shares] },
      'container.invalid-header',
    ],
    [
      'with a section field too many',
      { sections: [section({ offset: 0 }), shares] },
      'container.invalid-header',
    ],
    [
      'with a section longer than the file',
      { sections: [section({ length: 6 }), shares] },
      'container.truncated',
    ],
    [
      'with a section shorter than the file',
      { sections: [section({ length: 4 }), shares] },
      'container.trailing-bytes',
    ],
    ['without a body', { body: undefined }, 'container.not-canonical'],
    ['with a body that is text', { body: 'x' }, 'container.invalid-body'],
    ['with a body of another kind', { body: smallBodies().plan }, 'container.invalid-body'],
    ['with one more body field', { body: { ...body, more: 1 } }, 'container.invalid-body'],
    ['with a body field named constructor', { body: { ...body, constructor: 1 } }, 'container.invalid-body'],
    ['with null for a body field', { body: { ...body, baseModel: null } }, 'container.not-canonical'],
  ];
  for (const [name, header, code] of refused) {
    it(`is refused ${name}`, async () => {
      expect(await codeOf(openUpdate(await forge('update', { header })))).to.equal(code);
    });
  }

  it('is refused where a field is missing', async () => {
    for (const field of Object.keys((await encodeContainer(smallInput('update'))).envelope.header)) {
      const { [field as 'v']: _, ...rest } = (await encodeContainer(smallInput('update'))).envelope.header;
      const bytes = encodeWithCborg(rest, rfc8949EncodeOptions);
      const code = await codeOf(openUpdate(await forge('update', { header: bytes })));
      expect(code, field).to.be.oneOf(['container.invalid-header', 'container.invalid-body']);
    }
  });

  it('is refused in any other encoding of the same content', async () => {
    const { header, headerBytes } = (await encodeContainer(smallInput('update'))).envelope;
    const keysByLengthBackwards = encodeWithCborg(header, { mapSorter: () => 0 });
    const longFloats = encodeWithCborg(
      { ...header, body: { ...header.body, safety: { oodScore: 0.5 } } },
      { ...rfc8949EncodeOptions, float64: true },
    );
    const indefinite = Uint8Array.from([0xbf, ...headerBytes.subarray(1), 0xff]);
    const longHead = Uint8Array.from([0xb8, (headerBytes[0] as number) & 0x1f, ...headerBytes.subarray(1)]);
    const repeatedKey = Uint8Array.from(
      [(headerBytes[0] as number) + 1, ...headerBytes, 0x61, 0x76, 0x01].toSpliced(1, 1),
    );
    const tagged = Uint8Array.from([0xd9, 0xd9, 0xf7, ...headerBytes]);
    const trailing = Uint8Array.from([...headerBytes, 0x00]);
    for (const bytes of [
      keysByLengthBackwards,
      longFloats,
      indefinite,
      longHead,
      repeatedKey,
      tagged,
      trailing,
    ]) {
      const file = await forge('update', { header: bytes });
      expect(await codeOf(openUpdate(file))).to.equal('container.not-canonical');
    }
  });

  it('is refused where it is not a map', async () => {
    for (const value of [1, 'x', [], [1], true]) {
      const header = encodeWithCborg(value, rfc8949EncodeOptions);
      expect(await codeOf(openUpdate(await forge('update', { header })))).to.equal(
        'container.invalid-header',
      );
    }
    expect(await codeOf(openUpdate(await forge('update', { header: new Uint8Array() })))).to.equal(
      'container.not-canonical',
    );
  });

  it('is not opened as any kind where its kind is unknown', async () => {
    const bytes = await forge('update', { header: { kind: 'greeting' } });
    expect(await codeOf(() => openAnyContainer(bytes))).to.equal('container.wrong-kind');
  });
});

describe('signatures', () => {
  const verify =
    (bytes: Uint8Array, signer: SigningKey, required: SigningKey['algorithms'] = ['ed25519']) =>
    async () => {
      const container = await openContainer(bytes, 'update');
      await container.verify(signer.publicKeys, required);
    };

  it('are found out when one of two is stripped', async () => {
    for (const keep of [0, 1]) {
      const block = (entries: Entry[]) => [entries[keep]];
      const bytes = await forge('update', { signer: hybridKey, block });
      expect(await codeOf(verify(bytes, hybridKey))).to.equal('container.signature-stripped');
    }
  });

  it('are found out when all are stripped', async () => {
    const bytes = await forge('update', { block: () => [] });
    expect(await codeOf(verify(bytes, ed25519Key))).to.equal('container.signature-stripped');
  });

  it('are found out when the header was signed again with an algorithm removed', async () => {
    // The attacker broke Ed25519, holds that half of the key, and leaves ML-DSA-65 out of the header.
    const half = importSecret({ ed25519: hybridKey.exportSecret().ed25519 });
    const broken: SigningKey = {
      keyId: hybridKey.keyId,
      publicKeys: hybridKey.publicKeys,
      algorithms: ['ed25519'],
      sign: (...of) => half.sign(...of),
    };
    const bytes = await forge('update', { signer: broken });
    await verify(bytes, hybridKey, ['ed25519'])();
    expect(await codeOf(verify(bytes, hybridKey, ['ed25519', 'ml-dsa-65']))).to.equal(
      'container.algorithm-missing',
    );
    // Nor under the id of the half key.
    const downgraded = await forge('update', { signer: half });
    expect(await codeOf(verify(downgraded, hybridKey))).to.equal('container.wrong-signer');
  });

  it('are refused beyond those announced, valid or not', async () => {
    const extra = await forge('update', {
      signer: hybridKey,
      header: { algs: ['ed25519'] },
    });
    expect(await codeOf(verify(extra, hybridKey))).to.equal('container.unexpected-signature');
    const twice = await forge('update', { block: ([first]) => [first, first] });
    expect(await codeOf(verify(twice, ed25519Key))).to.equal('container.unexpected-signature');
    const unknown = await forge('update', { block: ([first]) => [first, { ...first, alg: 'xmss' }] });
    expect(await codeOf(verify(unknown, ed25519Key))).to.equal('container.unexpected-signature');
  });

  it('are refused by another signer, under its own id or under a stolen one', async () => {
    const own = await forge('update', { signer: otherKey });
    expect(await codeOf(verify(own, ed25519Key))).to.equal('container.wrong-signer');
    const stolen = await forge('update', { signer: otherKey, header: { signer: ed25519Key.keyId } });
    expect(await codeOf(verify(stolen, ed25519Key))).to.equal('container.wrong-signer');
    const block = (entries: Entry[]) => entries.map((entry) => ({ ...entry, keyId: ed25519Key.keyId }));
    const renamed = await forge('update', { signer: otherKey, header: { signer: ed25519Key.keyId }, block });
    expect(await codeOf(verify(renamed, ed25519Key))).to.equal('container.bad-signature');
  });

  it('are refused in a block that is malformed', async () => {
    for (const block of [
      {},
      'x',
      [[]],
      [{ alg: 'ed25519' }],
      [{ alg: 'ed25519', keyId: bytes32(1), sig: 1 }],
    ]) {
      const bytes = await forge('update', { block: () => block });
      expect(await codeOf(verify(bytes, ed25519Key))).to.equal('container.bad-signature-block');
    }
    const withNull = await forge('update', { block: () => [null] });
    expect(await codeOf(verify(withNull, ed25519Key))).to.equal('container.not-canonical');
  });
});

describe('lengths that lie', () => {
  it('allocate nothing', async () => {
    const claims = [
      encodePrefix(0xffffffff, 0xffffffff),
      encodePrefix(0xffffffff, 0),
      encodePrefix(0, 0xffffffff),
      encodePrefix(16 << 20, 64 << 10),
      Buffer.concat([encodePrefix(5, 0), Buffer.from('9affffffff', 'hex')]),
      Buffer.concat([encodePrefix(5, 0), Buffer.from('baffffffff', 'hex')]),
      Buffer.concat([encodePrefix(5, 0), Buffer.from('5affffffff', 'hex')]),
      Buffer.concat([encodePrefix(9, 0), Buffer.from('5b001fffffffffffff', 'hex')]),
      await forge('update', {
        header: {
          sections: [
            // 1 GiB, with all its digests.
            { name: 'ciphertext', length: 2 ** 30, digests: Array.from({ length: 1024 }, () => bytes32(1)) },
            { name: 'shares', length: 2, digests: [bytes32(2)] },
          ],
        },
      }),
    ];
    const before = process.memoryUsage();
    for (const bytes of claims) {
      const code = await codeOf(openUpdate(bytes));
      expect(code).to.be.oneOf(['container.too-large', 'container.truncated', 'container.not-canonical']);
    }
    const after = process.memoryUsage();
    expect(after.arrayBuffers - before.arrayBuffers).to.be.lessThan(8 << 20);
    expect(after.heapTotal - before.heapTotal).to.be.lessThan(64 << 20);
  });
});
