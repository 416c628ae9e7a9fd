import { expect } from 'chai';
import fc from 'fast-check';
import { type AnswerBinding, answerInfo, type ShareBinding, shareInfo } from '../../lib/custody/bindings.js';
import { hex } from '../../lib/custody/fields.js';
import { expectRefusal } from '../support/refusals.js';
import { bytes32 } from './support/bytes.js';

// Few, short values: collisions are to be found where neighbouring fields look alike.
const name = fc.string({ unit: fc.constantFrom('a', 'b', '\u0001', '\u0000'), minLength: 1, maxLength: 3 });
const integer = fc.nat(2);
const index = fc.integer({ min: 1, max: 3 });
const fingerprint = fc.constantFrom('p', 'q', 'r').map(bytes32);

const common = {
  fleet: name,
  policy: name,
  cohort: name,
  round: integer,
  plan: fingerprint,
  custodian: name,
  custodianIndex: index,
  keyEpoch: integer,
};
const shareBinding = fc.record<ShareBinding>({ ...common, client: name, clientKeyId: fingerprint });
const answerBinding = fc.record<AnswerBinding>({ ...common, set: fingerprint, ownerKeyId: fingerprint });

const share: ShareBinding = {
  fleet: 'fleet',
  policy: 'policy',
  cohort: 'cohort',
  round: 7,
  plan: bytes32('plan'),
  client: 'client',
  clientKeyId: bytes32('client key'),
  custodian: 'custodian',
  custodianIndex: 2,
  keyEpoch: 3,
};
const { client: _client, clientKeyId: _clientKeyId, ...rest } = share;
const answer: AnswerBinding = { ...rest, set: bytes32('set'), ownerKeyId: bytes32('owner key') };

function canonical(binding: object): string {
  return JSON.stringify(
    Object.entries(binding)
      .sort()
      .map(([key, value]) => [key, value instanceof Uint8Array ? hex(value) : value]),
  );
}

function changed(value: unknown): unknown {
  if (typeof value === 'string') return `${value}x`;
  if (typeof value === 'number') return value + 1;
  return bytes32('another');
}

describe('seal bindings', () => {
  it('are these bytes for a share: another implementation must come to the same', () => {
    const field = (bytes: Uint8Array | string) => {
      const content = Buffer.from(bytes as string);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(content.length);
      return Buffer.concat([length, content]);
    };
    const integerField = (value: number) => {
      const content = Buffer.alloc(8);
      content.writeBigUInt64LE(BigInt(value));
      return field(content);
    };
    const expected = Buffer.concat([
      field('tensorguard-native v1 share'),
      field('fleet'),
      field('policy'),
      field('cohort'),
      integerField(7),
      field(bytes32('plan')),
      field('client'),
      field(bytes32('client key')),
      field('custodian'),
      integerField(2),
      integerField(3),
    ]);
    expect(hex(shareInfo(share))).to.equal(expected.toString('hex'));
  });

  for (const field of Object.keys(share) as (keyof ShareBinding)[]) {
    it(`change with the ${field} of a share`, () => {
      const other: ShareBinding = { ...share, [field]: changed(share[field]) };
      expect(hex(shareInfo(other))).to.not.equal(hex(shareInfo(share)));
    });
  }

  for (const field of Object.keys(answer) as (keyof AnswerBinding)[]) {
    it(`change with the ${field} of an answer`, () => {
      const other: AnswerBinding = { ...answer, [field]: changed(answer[field]) };
      expect(hex(answerInfo(other))).to.not.equal(hex(answerInfo(answer)));
    });
  }

  it('of two shares are equal only if every field is', () => {
    fc.assert(
      fc.property(shareBinding, shareBinding, (left, right) => {
        const same = canonical(left) === canonical(right);
        expect(hex(shareInfo(left)) === hex(shareInfo(right))).to.equal(same);
      }),
      { numRuns: 2000 },
    );
  });

  it('of two answers are equal only if every field is', () => {
    fc.assert(
      fc.property(answerBinding, answerBinding, (left, right) => {
        const same = canonical(left) === canonical(right);
        expect(hex(answerInfo(left)) === hex(answerInfo(right))).to.equal(same);
      }),
      { numRuns: 2000 },
    );
  });

  it('do not collide when characters move between neighbouring names', () => {
    fc.assert(
      fc.property(shareBinding, fc.constantFrom('fleet', 'policy'), (binding, field) => {
        const next = field === 'fleet' ? 'policy' : 'cohort';
        const joined = binding[field] + binding[next];
        for (let cut = 1; cut < joined.length; cut += 1) {
          const other = { ...binding, [field]: joined.slice(0, cut), [next]: joined.slice(cut) };
          const same = cut === binding[field].length;
          expect(hex(shareInfo(other)) === hex(shareInfo(binding))).to.equal(same);
        }
      }),
    );
  });

  it('of a share never equal those of an answer', () => {
    fc.assert(
      fc.property(shareBinding, answerBinding, (left, right) => {
        expect(hex(shareInfo(left))).to.not.equal(hex(answerInfo(right)));
      }),
    );
  });

  for (const field of ['plan', 'clientKeyId'] as const) {
    it(`refuse a ${field} that has not 32 bytes`, async () => {
      await expectRefusal('field.bad-bytes', () => shareInfo({ ...share, [field]: new Uint8Array(31) }));
    });
  }

  for (const field of ['plan', 'set', 'ownerKeyId'] as const) {
    it(`refuse an answer's ${field} that has not 32 bytes`, async () => {
      await expectRefusal('field.bad-bytes', () => answerInfo({ ...answer, [field]: new Uint8Array(33) }));
    });
  }

  it('refuse custodian index 0, at which a sharing has its secret', async () => {
    await expectRefusal('field.bad-integer', () => shareInfo({ ...share, custodianIndex: 0 }));
    await expectRefusal('field.bad-integer', () => answerInfo({ ...answer, custodianIndex: 0 }));
  });
});
