import { expect } from 'chai';
import { readTrustedPlan } from '../../lib/custody/trusted-plan.js';
import { planArithmetic } from '../../lib/lwe/plan.js';
import type { PlanBody } from '../../lib/package/messages/plan.js';
import { withSignatureChanged } from '../round/support/forgery.js';
import { type RosterRules, rosterBody, signRoster, trustRosters } from '../round/support/members.js';
import { signPlan, TestRound } from '../round/support/round.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { bytes32 } from './support/bytes.js';

describe('a trusted plan', () => {
  let round: TestRound;

  before(async () => {
    round = await TestRound.start(await temporaryDirectory());
  });

  /** The good plan with changes, under a roster with other rules where there are any. */
  async function read(
    changes: (body: PlanBody) => Partial<PlanBody>,
    rules?: RosterRules,
  ): Promise<Awaited<ReturnType<typeof readTrustedPlan>>> {
    const { members } = round;
    const roster =
      rules === undefined
        ? round.roster
        : await trustRosters(
            await temporaryDirectory(),
            await signRoster(members, rosterBody(members, rules)),
          );
    const { version: rosterVersion } = roster.body;
    const body = { ...round.plan.body, rosterVersion, rosterFingerprint: roster.fingerprint };
    return readTrustedPlan(await signPlan(members, { ...body, ...changes(body) }), roster);
  }

  it('is what the coordinator signed, with the arithmetic that it follows', async () => {
    const plan = await read(() => ({ round: 12 }));
    expect(plan.body.round).to.equal(12);
    const { parameterSet, lwe } = plan.body;
    const { bits, maxClients, valueCount } = lwe;
    expect(plan.arithmetic).to.deep.equal(planArithmetic({ parameterSet, bits, maxClients, valueCount }));
  });

  const outside: readonly [what: string, (body: PlanBody) => Partial<PlanBody>, rules?: RosterRules][] = [
    ['has a quorum below the floor', () => ({ quorum: 2 })],
    ['has another threshold, a lower one', () => ({ threshold: 1 })],
    ['has another threshold, a higher one', () => ({ threshold: 3 })],
    ['has fewer custodians', () => ({ custodians: 2 })],
    ['is of a key epoch that is over', () => ({ keyEpoch: 2 })],
    [
      'has another parameter set',
      ({ lwe }) => {
        const { bits, maxClients, valueCount } = lwe;
        const other = planArithmetic({ parameterSet: 'lwe-192', bits, maxClients, valueCount });
        const { fieldBits, fold, plaintextBits, wireBits, ringElements, z } = other;
        return {
          parameterSet: 'lwe-192',
          lwe: { ...lwe, fieldBits, fold, plaintextBits, wireBits, ringElements, z },
        };
      },
    ],
    ['has a parameter set that is permitted no more', () => ({}), { parameterSets: ['lwe-192'] }],
    ['has a quorum below a floor that was raised', () => ({}), { quorumFloor: 4 }],
  ];
  for (const [what, changes, rules] of outside) {
    it(`is refused where it ${what}`, async () => {
      await expectRefusal('plan.outside-roster', () => read(changes, rules));
    });
  }

  const arithmetic: readonly [what: string, (lwe: PlanBody['lwe']) => Partial<PlanBody['lwe']>][] = [
    ['more wire bits', ({ wireBits }) => ({ wireBits: wireBits + 1 })],
    ['fewer wire bits', ({ wireBits }) => ({ wireBits: wireBits - 1 })],
    [
      'wider fields',
      ({ fieldBits, fold }) => ({ fieldBits: fieldBits + 1, plaintextBits: fold * (fieldBits + 1) }),
    ],
    ['more ring elements', ({ ringElements }) => ({ ringElements: ringElements + 1 })],
  ];
  for (const [what, changes] of arithmetic) {
    it(`is refused where its numbers are wrong: ${what}`, async () => {
      await expectRefusal('plan.wrong-arithmetic', () =>
        read(({ lwe }) => ({ lwe: { ...lwe, ...changes(lwe) } })),
      );
    });
  }

  it('is refused where an update would be larger than the roster allows, and taken where it just fits', async () => {
    const sealed = round.plan.arithmetic.ciphertextBytes;
    const shares = 1168 + 2 * (3328 + 1136);
    await read(() => ({}), { maxUpdateBytes: sealed + shares });
    await expectRefusal('plan.too-large', () => read(() => ({}), { maxUpdateBytes: sealed + shares - 1 }));
  });

  it('is refused where the roster demands noise, which it does not add', async () => {
    await expectRefusal('plan.noise-below-floor', () => read(() => ({}), { noiseFloor: 0.1 }));
  });

  it('is refused under a roster of another version, or another of the same', async () => {
    const version = (rosterVersion: number) => () => ({ rosterVersion });
    await expectRefusal('plan.older-roster', () => read(version(1), { version: 2 }));
    await expectRefusal('plan.newer-roster', () => read(version(3), { version: 2 }));
    await expectRefusal('plan.other-roster', () => read(() => ({ rosterFingerprint: bytes32('other') })));
  });

  it('is refused for another fleet', async () => {
    await expectRefusal('roster.other-fleet', () => read(() => ({ fleet: 'other' })));
  });

  it('is refused where anybody but the coordinator signed it', async () => {
    const { members, roster, plan } = round;
    for (const usurper of [members.owner, members.aggregator, members.clients[0]]) {
      const signed = await signPlan({ ...members, coordinator: usurper as typeof members.owner }, plan.body);
      await expectRefusal('container.wrong-signer', () => readTrustedPlan(signed, roster));
    }
  });

  it('is refused where one bit of its signature was changed', async () => {
    const changed = await withSignatureChanged(round.planFile);
    await expectRefusal('container.bad-signature', () => readTrustedPlan(changed, round.roster));
  });

  it('is refused without the signature algorithms that the roster requires', async () => {
    const both = { clients: 1, custodians: 2, algorithms: ['ed25519', 'ml-dsa-65'] } as const;
    const hybrid = await TestRound.start(await temporaryDirectory(), both);
    const { members, roster, plan } = hybrid;
    expect((await readTrustedPlan(hybrid.planFile, roster)).body.round).to.equal(1);
    const { keyId, publicKeys, sign } = members.coordinator.signing;
    const downgraded = {
      keyId,
      publicKeys,
      algorithms: ['ed25519'] as const,
      sign: sign.bind(members.coordinator.signing),
      exportSecret: () => members.coordinator.signing.exportSecret(),
    };
    const signed = await signPlan(
      { ...members, coordinator: { id: 'coordinator', signing: downgraded } },
      plan.body,
    );
    await expectRefusal('container.algorithm-missing', () => readTrustedPlan(signed, roster));
  });
});
