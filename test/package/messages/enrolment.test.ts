import { expect } from 'chai';
import { bytes32, filled } from '../fixtures.js';
import { describeRefusals, issuesOf } from './refusals.js';

/** Changes that make the small body, a custodian's, one of another role. */
const without = { kem: undefined, epoch: undefined, ledgerHead: undefined };
const client = { role: 'client', epoch: undefined, ledgerHead: undefined };

describe('an enrolment', () => {
  describeRefusals(
    'enrolment',
    ['restored', 'ownerKeyId'],
    [
      ['the owner, who enrols nowhere', () => ({ role: 'owner' }), 'role'],
      ['a fleet name with a slash', () => ({ fleet: 'a/b' }), 'fleet'],
      ['an id that leaves its directory', () => ({ id: '../c1' }), 'id'],
      ['a KEM key of another length', () => ({ kem: filled(1215, 1) }), 'kem'],
      ['epoch 0', () => ({ epoch: 0 }), 'epoch'],
      ['a short ledger head', () => ({ ledgerHead: filled(31, 1) }), 'ledgerHead'],
      ['a short key id of the owner', () => ({ ownerKeyId: filled(31, 1) }), 'ownerKeyId'],
      ['"not restored", which is said by leaving it out', () => ({ restored: false }), 'restored'],
      ['a client without a KEM key', () => ({ ...client, kem: undefined }), 'kem'],
      ['a client with an epoch', () => ({ ...client, epoch: 1 }), 'epoch'],
      ['a client with a ledger', () => ({ ...client, ledgerHead: bytes32(1) }), 'ledgerHead'],
      ['a restored client', () => ({ ...client, restored: true }), 'restored'],
      ['an aggregator with a KEM key', ({ kem }) => ({ ...without, role: 'aggregator', kem }), 'kem'],
      ['a coordinator with an epoch', () => ({ ...without, role: 'coordinator', epoch: 1 }), 'epoch'],
    ],
  );

  for (const [who, changes] of [
    ['a client', client],
    ['an aggregator', { ...without, role: 'aggregator' }],
    ['a coordinator', { ...without, role: 'coordinator' }],
    ['a restored custodian', { restored: true }],
    ['a machine that was told its owner', { ownerKeyId: bytes32(1) }],
  ] as const) {
    it(`is one of ${who}`, () => {
      expect(issuesOf('enrolment', changes)).to.deep.equal([]);
    });
  }
});
