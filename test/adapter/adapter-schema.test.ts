import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { adapterSchemaFingerprint, type TensorSchema } from '../../lib/adapter/adapter-schema.js';

const hex = (schema: readonly TensorSchema[]): string =>
  Buffer.from(adapterSchemaFingerprint(schema)).toString('hex');

const schema: TensorSchema[] = [
  { name: 'b', shape: [2, 3], dtype: 'F32' },
  { name: 'a', shape: [4], dtype: 'BF16' },
];

describe("an adapter schema's fingerprint", () => {
  it('is SHA-256 over the encoding that its documentation lays down', () => {
    const encoding = [
      Buffer.from('tensorguard-native v1 adapter schema\0').toString('hex'),
      '02000000',
      `01000000${Buffer.from('a').toString('hex')}`,
      `04000000${Buffer.from('BF16').toString('hex')}`,
      '01000000',
      '0400000000000000',
      `01000000${Buffer.from('b').toString('hex')}`,
      `03000000${Buffer.from('F32').toString('hex')}`,
      '02000000',
      '02000000000000000300000000000000',
    ].join('');
    expect(hex(schema)).to.equal(createHash('sha256').update(Buffer.from(encoding, 'hex')).digest('hex'));
  });

  it('does not depend on the order given, and leaves that order alone', () => {
    expect(hex([...schema].reverse())).to.equal(hex(schema));
    expect(schema.map(({ name }) => name)).to.deep.equal(['b', 'a']);
  });

  it('changes with every name, dimension, dtype, and with where a shape is cut', () => {
    const [b, a] = schema as [TensorSchema, TensorSchema];
    const variants: TensorSchema[][] = [
      [],
      [b],
      [b, { ...a, name: 'A' }],
      [b, { ...a, dtype: 'F16' }],
      [b, { ...a, shape: [5] }],
      [b, { ...a, shape: [4, 1] }],
      [b, { ...a, shape: [] }],
      [{ ...b, shape: [3, 2] }, a],
      [{ ...b, shape: [2 ** 32 + 2, 3] }, a],
    ];
    const all = [schema, ...variants].map(hex);
    expect(new Set(all).size).to.equal(all.length);
  });
});
