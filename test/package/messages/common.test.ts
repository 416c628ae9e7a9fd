import { expect } from 'chai';
import {
  bytesOf,
  fingerprintListSchema,
  firstRepeated,
  idSchema,
  integerSchema,
  nonNegativeSchema,
  positiveSchema,
  tensorNameSchema,
  textSchema,
  unixMsSchema,
} from '../../../lib/package/messages/common.js';
import { isMessageKind, MESSAGE_KINDS, messageType } from '../../../lib/package/messages/registry.js';
import { bytes32, filled } from '../fixtures.js';

const accepts = (schema: { safeParse(value: unknown): { success: boolean } }, value: unknown): boolean =>
  schema.safeParse(value).success;

describe('the fields that messages share', () => {
  it('take ids of 1 to 64 characters that are safe as file names', () => {
    for (const id of ['a', '0', 'client-01', 'A.b_c-d', 'x'.repeat(64)]) {
      expect(accepts(idSchema, id), id).to.equal(true);
    }
    for (const id of [
      '',
      '.',
      '..',
      '-a',
      '_a',
      'a/b',
      'a\\b',
      'a b',
      'a\n',
      '\u00e4',
      'a\0',
      'x'.repeat(65),
      '__proto__',
      1,
      null,
    ]) {
      expect(accepts(idSchema, id), String(id)).to.equal(false);
    }
  });

  it('take the tensor names of safetensors', () => {
    expect(
      accepts(tensorNameSchema, 'base_model.model.model.layers.31.self_attn.q_proj.lora_A.weight'),
    ).to.equal(true);
    for (const name of ['', 'a b', 'a\n', '\u00e4', 'x'.repeat(513)]) {
      expect(accepts(tensorNameSchema, name)).to.equal(false);
    }
  });

  it('take a line of text, and none that would break a log or a terminal', () => {
    expect(accepts(textSchema(20), 'openvla/openvla-7b \u00e4')).to.equal(true);
    for (const text of [
      '',
      'a\nb',
      'a\rb',
      '\u001b[2J',
      'a\u0085b',
      'a\u2028b',
      'a\u2029b',
      '\ufeffa',
      'a\ud800',
      'x'.repeat(21),
    ]) {
      expect(accepts(textSchema(20), text), JSON.stringify(text)).to.equal(false);
    }
  });

  it('take byte strings of one length', () => {
    expect(accepts(bytesOf(32), bytes32(1))).to.equal(true);
    expect(accepts(bytesOf(32), Buffer.alloc(32))).to.equal(true);
    for (const value of [
      filled(31, 1),
      filled(33, 1),
      'x'.repeat(32),
      new Array(32).fill(1),
      new Uint16Array(32),
      { length: 32 },
    ]) {
      expect(accepts(bytesOf(32), value)).to.equal(false);
    }
  });

  it('take integers within their bounds', () => {
    expect(accepts(integerSchema(1, 5), 1)).to.equal(true);
    expect(accepts(integerSchema(1, 5), 5)).to.equal(true);
    for (const value of [0, 6, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '1', 1n]) {
      expect(accepts(integerSchema(1, 5), value)).to.equal(false);
    }
    expect(accepts(integerSchema(0), 2 ** 40)).to.equal(true);
    expect(accepts(integerSchema(0), 2 ** 40 + 1)).to.equal(false);
    expect(accepts(unixMsSchema, 253_402_300_799_999)).to.equal(true);
    expect(accepts(unixMsSchema, 253_402_300_800_000)).to.equal(false);
  });

  it('take finite numbers', () => {
    expect(accepts(nonNegativeSchema, 0)).to.equal(true);
    expect(accepts(positiveSchema, Number.MIN_VALUE)).to.equal(true);
    expect(accepts(positiveSchema, 0)).to.equal(false);
    for (const value of [-1e-9, Number.NaN, Number.POSITIVE_INFINITY, '1']) {
      expect(accepts(nonNegativeSchema, value)).to.equal(false);
    }
  });

  it('take fingerprints that are sorted and distinct', () => {
    const list = fingerprintListSchema(2);
    expect(accepts(list, [])).to.equal(true);
    expect(accepts(list, [bytes32(1), bytes32(2)])).to.equal(true);
    expect(accepts(list, [bytes32(2), bytes32(1)])).to.equal(false);
    expect(accepts(list, [bytes32(1), bytes32(1)])).to.equal(false);
    expect(accepts(list, [bytes32(1), bytes32(2), bytes32(3)])).to.equal(false);
    expect(accepts(list, [1, 2])).to.equal(false);
  });

  it('name what occurs twice', () => {
    expect(firstRepeated(['a', 'b', 'c', 'b', 'a'])).to.equal('b');
    expect(firstRepeated(['a', 'b'])).to.equal(undefined);
  });
});

describe('the kinds of messages', () => {
  it('are known by name, and nothing that every object has is one', () => {
    for (const kind of MESSAGE_KINDS) expect(isMessageKind(kind)).to.equal(true);
    for (const kind of ['constructor', '__proto__', 'toString', '', 'Update'])
      expect(isMessageKind(kind)).to.equal(false);
  });

  it('have an extension each', () => {
    const extensions = MESSAGE_KINDS.map((kind) => messageType(kind).extension);
    expect(extensions).to.include.members(['.tgo', '.tgp', '.tgu', '.tga', '.tgs', '.tgc']);
    expect(firstRepeated(extensions)).to.equal(undefined);
  });
});
