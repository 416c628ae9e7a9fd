import { expect } from 'chai';
import { bytes32, filled, smallBodies, somePublicKeys } from '../fixtures.js';
import { describeRefusals, issuesOf } from './refusals.js';

describe('a roster', () => {
  describeRefusals(
    'roster',
    ['oldestOpenEpoch'],
    [
      ['version 0', () => ({ version: 0 }), 'version'],
      ['a fleet name with a slash', () => ({ fleet: 'a/b' }), 'fleet'],
      ['an owner without a KEM key', ({ owner }) => ({ owner: { keys: owner.keys } }), 'owner.kem'],
      [
        'a KEM key of another length',
        ({ owner }) => ({ owner: { ...owner, kem: filled(1215, 1) } }),
        'owner.kem',
      ],
      [
        'a signing key of another length',
        () => ({ coordinator: { keys: { ed25519: filled(31, 1) } } }),
        'coordinator.keys.ed25519',
      ],
      [
        'a signing key that is text',
        () => ({ coordinator: { keys: { ed25519: 'x'.repeat(32) } } }),
        'coordinator.keys.ed25519',
      ],
      [
        'a coordinator with a KEM key',
        ({ coordinator }) => ({ coordinator: { ...coordinator, kem: filled(1216, 9) } }),
        'coordinator',
      ],
      ['no aggregator', () => ({ aggregators: [] }), 'aggregators'],
      ['no custodian', () => ({ custodians: [] }), 'custodians'],
      [
        'an unknown client status',
        ({ clients }) => ({ clients: [{ ...clients[0], status: 'gone' }] }),
        'clients.0.status',
      ],
      [
        'a client id twice',
        ({ clients }) => ({ clients: [clients[0], { ...clients[1], id: 'client-01' }] }),
        'clients',
      ],
      [
        'an aggregator id twice',
        ({ aggregators: [first] }) => ({ aggregators: [first, { ...first, keys: somePublicKeys(99) }] }),
        'aggregators',
      ],
      [
        'a custodian id twice',
        ({ custodians: [first, second] }) => ({ custodians: [first, { ...second, id: 'c1' }] }),
        'custodians',
      ],
      [
        'one key for two clients',
        ({ clients: [first, second] }) => ({ clients: [first, { ...second, keys: first?.keys }] }),
        '',
      ],
      [
        'one key for a client and a custodian',
        ({ clients: [first], custodians: [custodian] }) => ({
          clients: [{ ...first, keys: custodian?.keys }],
        }),
        '',
      ],
      ['one key for owner and coordinator', ({ owner }) => ({ coordinator: { keys: owner.keys } }), ''],
      [
        'one Ed25519 key in two key sets',
        ({ clients: [first] }) => ({
          clients: [
            first,
            { id: 'x', status: 'active', keys: { ...first?.keys, 'ml-dsa-65': filled(1952, 1) } },
          ],
        }),
        '',
      ],
      [
        'one KEM key for two custodians',
        ({ custodians: [first, second] }) => ({ custodians: [first, { ...second, kem: first?.kem }] }),
        '',
      ],
      [
        "the owner's KEM key for a custodian",
        ({ owner, custodians: [first, second] }) => ({ custodians: [first, { ...second, kem: owner.kem }] }),
        '',
      ],
      [
        'custodian indices from 0',
        ({ custodians: [first] }) => ({ custodians: [{ ...first, index: 0 }], threshold: 1 }),
        'custodians.0.index',
      ],
      [
        'custodian indices with a gap',
        ({ custodians: [first, second] }) => ({ custodians: [first, { ...second, index: 3 }] }),
        'custodians',
      ],
      [
        'a custodian index twice',
        ({ custodians: [first, second] }) => ({ custodians: [first, { ...second, index: 1 }] }),
        'custodians',
      ],
      [
        'custodians out of order',
        ({ custodians }) => ({ custodians: [...custodians].reverse() }),
        'custodians',
      ],
      [
        'epoch 0',
        ({ custodians: [first, second] }) => ({ custodians: [first, { ...second, epoch: 0 }] }),
        'custodians.1.epoch',
      ],
      ['an oldest open epoch of 0', () => ({ oldestOpenEpoch: 0 }), 'oldestOpenEpoch'],
      ["an oldest open epoch above a custodian's", () => ({ oldestOpenEpoch: 2 }), 'oldestOpenEpoch'],
      ['threshold 0', () => ({ threshold: 0 }), 'threshold'],
      ['a threshold above the number of custodians', () => ({ threshold: 3 }), 'threshold'],
      ['a quorum floor of 1', () => ({ quorumFloor: 1 }), 'quorumFloor'],
      ['an update limit of 0', () => ({ maxUpdateBytes: 0 }), 'maxUpdateBytes'],
      ['no parameter set', () => ({ parameterSets: [] }), 'parameterSets'],
      ['an unknown parameter set', () => ({ parameterSets: ['lwe-64'] }), 'parameterSets.0'],
      ['a parameter set twice', () => ({ parameterSets: ['lwe-192', 'lwe-192'] }), 'parameterSets'],
      ['a negative noise floor', () => ({ noiseFloor: -0.1 }), 'noiseFloor'],
      ['an infinite noise floor', () => ({ noiseFloor: Number.POSITIVE_INFINITY }), 'noiseFloor'],
      ['no signature algorithm', () => ({ signatureAlgorithms: [] }), 'signatureAlgorithms'],
      ['ML-DSA-65 alone', () => ({ signatureAlgorithms: ['ml-dsa-65'] }), 'signatureAlgorithms'],
      [
        'a required algorithm that members have no key of',
        () => ({ signatureAlgorithms: ['ed25519', 'ml-dsa-65'] }),
        'signatureAlgorithms',
      ],
    ],
  );

  it("may say which epochs are over, up to the custodians'", () => {
    expect(issuesOf('roster', { oldestOpenEpoch: 1 })).to.deep.equal([]);
  });

  it('may have no clients yet', () => {
    expect(issuesOf('roster', { clients: [] })).to.deep.equal([]);
  });

  it('refuses 256 custodians', () => {
    const custodians = Array.from({ length: 256 }, (_, i) => ({
      id: `c${i}`,
      index: i + 1,
      keys: somePublicKeys(1),
      kem: filled(1216, 1),
      epoch: 1,
    }));
    expect(issuesOf('roster', { custodians })).to.include('custodians');
  });

  it('lets revoked clients keep keys without an algorithm that came to be required', () => {
    const withMlDsa = (value: number) => ({ ed25519: bytes32(value), 'ml-dsa-65': filled(1952, value) });
    const { owner, coordinator, aggregators, custodians, clients } = smallBodies().roster;
    const upgraded = {
      owner: { ...owner, keys: withMlDsa(1) },
      coordinator: { ...coordinator, keys: withMlDsa(2) },
      aggregators: aggregators.map((member) => ({ ...member, keys: withMlDsa(3) })),
      custodians: custodians.map((member, i) => ({ ...member, keys: withMlDsa(6 + i) })),
      clients: clients.map((member) =>
        member.status === 'revoked' ? member : { ...member, keys: withMlDsa(4) },
      ),
      signatureAlgorithms: ['ed25519', 'ml-dsa-65'],
    };
    expect(issuesOf('roster', upgraded)).to.deep.equal([]);
    expect(issuesOf('roster', { ...upgraded, clients })).to.deep.equal(['signatureAlgorithms']);
    const suspended = upgraded.clients.map((member) => ({ ...member, status: 'suspended' }));
    expect(issuesOf('roster', { ...upgraded, clients: suspended })).to.deep.equal(['signatureAlgorithms']);
  });
});
