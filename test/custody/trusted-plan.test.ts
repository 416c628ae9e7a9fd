import { expect } from 'chai';
import { headerAllowanceBytes, readTrustedPlan } from '../../lib/custody/trusted-plan.js';
import { planArithmetic } from '../../lib/lwe/plan.js';
import type { PlanBody } from '../../lib/package/messages/plan.js';
import { openContainer } from '../../lib/package/reader.js';
import { craftUpdate, withSignatureChanged } from '../round/support/forgery.js';
import { type RosterRules, rosterBody, signRoster, trustRosters } from '../round/support/members.js';
import { signPlan, TestRound } from '../round/support/round.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { bytes32 } from './support/bytes.js';

/** The numbers of a plan for these tensors, from its inputs alone. */
function lweFor(body: PlanBody): PlanBody['lwe'] {
  const { parameterSet, tensors, privacy } = body;
  const { maxClients } = body.lwe;
  const widths = [...new Set(tensors.map(({ bits }) => bits))].sort((a, b) => a - b);
  const { segments } = planArithmetic({
    parameterSet,
    maxClients,
    ...(privacy !== undefined && { noiseVariance: privacy.clientVariance }),
    segments: widths.map((bits) => ({
      bits,
      valueCount: tensors.reduce((sum, tensor) => sum + (tensor.bits === bits ? tensor.kept : 0), 0),
    })),
  });
  return {
    maxClients,
    segments: segments.map(
      ({ bits, valueCount, fieldBits, fold, plaintextBits, wireBits, ringElements }) => ({
        ...{ bits, valueCount, fieldBits, fold, plaintextBits, wireBits, ringElements },
      }),
    ),
  };
}

/** The plan with its tensors in two widths. */
function inTwoWidths(body: PlanBody): Pick<PlanBody, 'tensors' | 'lwe'> {
  const tensors = body.tensors.map((tensor, i) => ({ ...tensor, bits: i % 2 === 0 ? 6 : 3 }));
  return { tensors, lwe: lweFor({ ...body, tensors }) };
}

/** The plan with noise: its multiplier is sqrt((3 - colluders) * 125 / 1000) for a quorum of 3. */
function withNoise(
  body: PlanBody,
  changes: Partial<NonNullable<PlanBody['privacy']>> = {},
): Pick<PlanBody, 'tensors' | 'lwe' | 'privacy'> {
  const privacy = {
    ...{ mechanism: 'skellam' as const, clientVariance: 125, l2Squared: 1000, colluders: 1, delta: 1e-5 },
    ...changes,
  };
  const tensors = body.tensors.map((tensor) => ({ ...tensor, scale: 0.001 }));
  return { tensors, privacy, lwe: lweFor({ ...body, tensors, privacy }) };
}

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
    const { maxClients } = lwe;
    const segments = lwe.segments.map(({ bits, valueCount }) => ({ bits, valueCount }));
    expect(segments).to.deep.equal([{ bits: 4, valueCount: 2304 }]);
    expect(plan.arithmetic).to.deep.equal(planArithmetic({ parameterSet, maxClients, segments }));
  });

  it('may have values of several widths, a segment for each', async () => {
    const plan = await read(inTwoWidths);
    expect(plan.arithmetic.segments.map(({ bits, valueCount }) => [bits, valueCount])).to.deep.equal([
      [3, 640 + 384],
      [6, 640 + 640],
    ]);
    expect(plan.arithmetic.segments[1]?.firstElement).to.equal(plan.body.lwe.segments[0]?.ringElements);
  });

  const outside: readonly [what: string, (body: PlanBody) => Partial<PlanBody>, rules?: RosterRules][] = [
    ['has a quorum below the floor', () => ({ quorum: 2 })],
    ['has another threshold, a lower one', () => ({ threshold: 1 })],
    ['has another threshold, a higher one', () => ({ threshold: 3 })],
    ['has fewer custodians', () => ({ custodians: 2 })],
    ['is of a key epoch that is over', () => ({ keyEpoch: 2 })],
    [
      'has another parameter set',
      (body) => ({ parameterSet: 'lwe-192', lwe: lweFor({ ...body, parameterSet: 'lwe-192' }) }),
    ],
    ['has a parameter set that is permitted no more', () => ({}), { parameterSets: ['lwe-192'] }],
    ['has a quorum below a floor that was raised', () => ({}), { quorumFloor: 4 }],
  ];
  for (const [what, changes, rules] of outside) {
    it(`is refused where it ${what}`, async () => {
      await expectRefusal('plan.outside-roster', () => read(changes, rules));
    });
  }

  type Segment = PlanBody['lwe']['segments'][number];
  const arithmetic: readonly [what: string, (segment: Segment) => Partial<Segment>][] = [
    ['more wire bits', ({ wireBits }) => ({ wireBits: wireBits + 1 })],
    ['fewer wire bits', ({ wireBits }) => ({ wireBits: wireBits - 1 })],
    [
      'wider fields',
      ({ fieldBits, fold }) => ({ fieldBits: fieldBits + 1, plaintextBits: fold * (fieldBits + 1) }),
    ],
    [
      'narrower fields, which a sum overflows',
      ({ fieldBits, fold }) => ({ fieldBits: fieldBits - 1, plaintextBits: fold * (fieldBits - 1) }),
    ],
    ['more ring elements', ({ ringElements }) => ({ ringElements: ringElements + 1 })],
  ];
  for (const [what, changes] of arithmetic) {
    for (const wrong of [0, 1]) {
      it(`is refused where the numbers of its ${wrong === 0 ? 'first' : 'second'} segment are wrong: ${what}`, async () => {
        await expectRefusal('plan.wrong-arithmetic', () =>
          read((body) => {
            const { tensors, lwe } = inTwoWidths(body);
            const segments = lwe.segments.map((segment, i) =>
              i === wrong ? { ...segment, ...changes(segment) } : segment,
            );
            return { tensors, lwe: { ...lwe, segments } };
          }),
        );
      });
    }
  }

  it('is refused where its fields have no room for the noise that it adds', async () => {
    const faint = (body: PlanBody) => withNoise(body, { clientVariance: 1 });
    expect((await read(faint)).arithmetic.noiseVariance).to.equal(1);
    await expectRefusal('plan.wrong-arithmetic', () => read((body) => ({ ...faint(body), lwe: body.lwe })));
    // Nor room for noise that nobody adds.
    await expectRefusal('plan.wrong-arithmetic', () => read((body) => ({ lwe: faint(body).lwe })));
  });

  it('is refused where an update would be larger than the roster allows, and taken where it just fits', async () => {
    const sealed = round.plan.arithmetic.ciphertextBytes + 1168 + 2 * (3328 + 1136);
    // 12 KiB, each tensor's name with three bytes, and a digest of each section, both less than a mebibyte.
    const header =
      12 * 1024 + 2 * 34 + round.plan.body.tensors.reduce((sum, { name }) => sum + name.length + 3, 0);
    await read(() => ({}), { maxUpdateBytes: sealed + header });
    await expectRefusal('plan.too-large', () => read(() => ({}), { maxUpdateBytes: sealed + header - 1 }));
  });

  it('leaves room for the header of an update that names every module, with both signatures', async () => {
    const both = { clients: 3, custodians: 3, algorithms: ['ed25519', 'ml-dsa-65'] } as const;
    const hybrid = await TestRound.start(await temporaryDirectory(), both);
    const { stored } = await hybrid.seal(1);
    const { tensors } = hybrid.plan.body;
    const update = await openContainer(stored, 'update');
    const sections = update.header.sections.map(({ length }) => length);
    expect(update.body.targets?.modules).to.have.length(2);
    expect(update.envelopeBytes.length).to.be.lessThan(headerAllowanceBytes(tensors, sections));
    await update.close();
  });

  it('leaves room for the digests of large sections, byte for byte', async () => {
    const mebibyte = 2 ** 20;
    const envelopeBytes = async (ciphertextBytes: number): Promise<number> => {
      const sections = { ciphertext: new Uint8Array(ciphertextBytes), shares: new Uint8Array(mebibyte) };
      const crafted = await craftUpdate(round.plan, round.client(1), { sections });
      const update = await openContainer(crafted, 'update');
      await update.close();
      return update.envelopeBytes.length;
    };
    const allowance = (ciphertextBytes: number): number =>
      headerAllowanceBytes(round.plan.body.tensors, [ciphertextBytes, mebibyte]);
    for (const [small, large, chunks] of [
      [8 * mebibyte, 16 * mebibyte, 8],
      [16 * mebibyte, 16 * mebibyte + 1, 1],
    ] as const) {
      expect(allowance(large) - allowance(small)).to.equal(34 * chunks);
      expect((await envelopeBytes(large)) - (await envelopeBytes(small))).to.equal(34 * chunks);
    }
  });

  it('is refused where the roster demands noise and it adds none', async () => {
    await expectRefusal('plan.noise-below-floor', () => read(() => ({}), { noiseFloor: 0.1 }));
  });

  it('is held to the noise that is certain: a quorum’s, less the colluders’', async () => {
    // sqrt(2 * 125 / 1000)
    await read((body) => withNoise(body), { noiseFloor: 0.5 });
    await expectRefusal('plan.noise-below-floor', () =>
      read((body) => withNoise(body), { noiseFloor: 0.5000001 }),
    );
    for (const less of [{ colluders: 2 }, { clientVariance: 124 }, { l2Squared: 1001 }]) {
      await expectRefusal('plan.noise-below-floor', () =>
        read((body) => withNoise(body, less), { noiseFloor: 0.5 }),
      );
    }
    await read((body) => ({ ...withNoise(body, { colluders: 2 }), quorum: 4 }), { noiseFloor: 0.5 });
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
    const both = { clients: 3, custodians: 2, algorithms: ['ed25519', 'ml-dsa-65'] } as const;
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
