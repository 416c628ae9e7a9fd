import { expect } from 'chai';
import { bytes32, filled } from '../fixtures.js';
import { describeRefusals, issuesOf } from './refusals.js';

describe('a plan', () => {
  describeRefusals(
    'plan',
    ['adapterConfig', 'baseModel', 'deadline'],
    [
      ['round 0', () => ({ round: 0 }), 'round'],
      ['roster version 0', () => ({ rosterVersion: 0 }), 'rosterVersion'],
      ['a seed of another length', () => ({ seed: filled(16, 1) }), 'seed'],
      ['key epoch 0', () => ({ keyEpoch: 0 }), 'keyEpoch'],
      ['a threshold above the number of custodians', () => ({ threshold: 4 }), 'threshold'],
      ['a quorum of 1', () => ({ quorum: 1 }), 'quorum'],
      ['a quorum above the number of clients', () => ({ quorum: 17 }), 'quorum'],
      ['one bit a value', ({ lwe }) => ({ lwe: { ...lwe, bits: 1 } }), 'lwe.bits'],
      ['nine bits a value', ({ lwe }) => ({ lwe: { ...lwe, bits: 9 } }), 'lwe.bits'],
      [
        'fields too small for the sum',
        ({ lwe }) => ({ lwe: { ...lwe, fieldBits: 11, plaintextBits: 11 } }),
        'lwe.fieldBits',
      ],
      [
        'plaintext bits that are not fold times field bits',
        ({ lwe }) => ({ lwe: { ...lwe, fold: 2, wireBits: 25 } }),
        'lwe.plaintextBits',
      ],
      [
        'no more wire bits than plaintext bits',
        ({ lwe }) => ({ lwe: { ...lwe, wireBits: 12 } }),
        'lwe.wireBits',
      ],
      ['no ring element', ({ lwe }) => ({ lwe: { ...lwe, ringElements: 0 } }), 'lwe.ringElements'],
      ['z of 0', ({ lwe }) => ({ lwe: { ...lwe, z: 0 } }), 'lwe.z'],
      [
        'a value count that the tensors do not have',
        ({ lwe }) => ({ lwe: { ...lwe, valueCount: 39 } }),
        'lwe.valueCount',
      ],
      ['no tensor', ({ lwe }) => ({ tensors: [], lwe }), 'tensors'],
      [
        'a tensor name twice',
        ({ tensors: [a, b, c] }) => ({ tensors: [a, { ...b, name: a?.name }, c] }),
        'tensors',
      ],
      [
        'a dimension of 0',
        ({ tensors: [a, ...rest] }) => ({ tensors: [{ ...a, shape: [0, 8] }, ...rest] }),
        'tensors.0.shape.0',
      ],
      [
        'nine dimensions',
        ({ tensors: [a, ...rest] }) => ({ tensors: [{ ...a, shape: new Array(9).fill(1) }, ...rest] }),
        'tensors.0.shape',
      ],
      [
        'an unknown number format',
        ({ tensors: [a, ...rest] }) => ({ tensors: [{ ...a, dtype: 'F64' }, ...rest] }),
        'tensors.0.dtype',
      ],
      [
        'a clip of 0',
        ({ tensors: [a, ...rest] }) => ({ tensors: [{ ...a, clip: 0 }, ...rest] }),
        'tensors.0.clip',
      ],
      [
        'an infinite clip',
        ({ tensors: [a, ...rest] }) => ({ tensors: [{ ...a, clip: Number.POSITIVE_INFINITY }, ...rest] }),
        'tensors.0.clip',
      ],
      [
        'two heads of one custodian',
        ({ ledgerHeads: [head] }) => ({ ledgerHeads: [head, { ...head, head: bytes32(9) }] }),
        'ledgerHeads',
      ],
      [
        'an adapter configuration of more than 64 KiB',
        () => ({ adapterConfig: filled(65_537, 1) }),
        'adapterConfig',
      ],
      ['an adapter configuration that is text', () => ({ adapterConfig: '{}' }), 'adapterConfig'],
      ['a base model that is two lines', () => ({ baseModel: 'a\nb' }), 'baseModel'],
      ['a deadline that is no time', () => ({ deadline: -1 }), 'deadline'],
    ],
  );

  it('refuses tensors whose size overflows, whatever value count is claimed', () => {
    const tensors = [{ name: 'w', shape: new Array(8).fill(2 ** 40), dtype: 'F32', clip: 1 }];
    expect(issuesOf('plan', { tensors })).to.deep.equal(['lwe.valueCount']);
  });
});
