import { inspect } from 'node:util';
import { expect } from 'chai';
import fc from 'fast-check';
import { combine } from 'shamir-secret-sharing';
import {
  combineShares,
  createRecovery,
  type OfficerShare,
  proveOfficer,
} from '../../../lib/custody/break-glass/officer-shares.js';
import type {
  RecoveryDescription,
  RecoveryOfficer,
} from '../../../lib/custody/break-glass/recovery-description.js';
import { recoveryTermsDigest } from '../../../lib/custody/break-glass/recovery-description.js';
import { shareCommitment, shareTags } from '../../../lib/custody/break-glass/share-checks.js';
import { hex } from '../../../lib/custody/fields.js';
import { generateKemKey, kemPublicKey } from '../../../lib/custody/hpke.js';
import { SecretBytes } from '../../../lib/custody/secret-bytes.js';
import { RefusedError, VerificationError } from '../../../lib/errors.js';
import { expectRefusal } from '../../support/refusals.js';
import { withBitFlipped } from '../support/bytes.js';
import { bytesOf, newRecovery, type Recovery, request, shows, withShareBytes } from './support/recovery.js';

const names = (count: number) => Array.from({ length: count }, (_, i) => `officer-${i + 1}`);

/** Officers, a threshold, and at least as many of them, in any order. */
const quorum = fc
  .integer({ min: 2, max: 20 })
  .chain((officers) => fc.tuple(fc.constant(officers), fc.integer({ min: 2, max: officers })))
  .chain(([officers, threshold]) =>
    fc.record({
      officers: fc.constant(officers),
      threshold: fc.constant(threshold),
      present: fc
        .shuffledSubarray(
          Array.from({ length: officers }, (_, i) => i),
          { minLength: threshold },
        )
        .filter((present) => present.length >= threshold),
    }),
  );

/** The description with the officer of one share changed. */
function withOfficer(
  description: RecoveryDescription,
  name: string,
  change: (officer: RecoveryOfficer) => RecoveryOfficer,
): RecoveryDescription {
  const officers = description.officers.map((officer) => (officer.name === name ? change(officer) : officer));
  return { ...description, officers };
}

describe("officers' shares", () => {
  let recovery: RecoveryDescription;
  let shares: OfficerShare[];
  let ada: OfficerShare;
  let grace: OfficerShare;
  let emmy: OfficerShare;

  before(async () => {
    ({ recovery, shares } = await newRecovery());
    [ada, grace, emmy] = shares as [OfficerShare, OfficerShare, OfficerShare];
  });

  it('recombine to the seed of the public key, for any threshold and any officers who reach it', async () => {
    await fc.assert(
      fc.asyncProperty(quorum, async ({ officers, threshold, present }) => {
        const made = await newRecovery({ officers: names(officers), threshold });
        const seed = await combineShares(
          made.recovery,
          present.map((i) => made.shares[i] as OfficerShare),
        );
        expect(hex(await seed.use(kemPublicKey))).to.equal(hex(made.recovery.kemPublicKey));
      }),
      { numRuns: 25 },
    );
  });

  it('are points of polynomials over GF(2^8), as FIPS 197 defines it', async () => {
    const times = (a: number, b: number): number => {
      let product = 0;
      for (let i = 7; i >= 0; i -= 1) {
        product = (product << 1) ^ (product & 0x80 ? 0x11b : 0) ^ ((b >> i) & 1 ? a : 0);
      }
      return product;
    };
    // Two of three: the share at x is seed + x * slope, so two shares give slope, and that the third.
    const [first, second, third] = shares.map(({ share }) => bytesOf(share)) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    const seed = bytesOf(await combineShares(recovery, [ada, grace]));
    for (let i = 0; i < 32; i += 1) {
      const slopes = Array.from({ length: 256 }, (_, slope) => slope).filter((slope) =>
        [first, second].every((share) => share[i] === ((seed[i] ?? 0) ^ times(slope, share[32] ?? 0))),
      );
      expect(slopes).to.have.length(1);
      expect(third[i]).to.equal((seed[i] ?? 0) ^ times(slopes[0] ?? 0, third[32] ?? 0));
    }
  });

  it('are refused when one officer is missing, and would give another seed if they were not', async () => {
    await fc.assert(
      fc.asyncProperty(quorum, async ({ officers, threshold, present }) => {
        const made = await newRecovery({ officers: names(officers), threshold });
        const few = present.slice(0, threshold - 1).map((i) => made.shares[i] as OfficerShare);
        await expectRefusal('break-glass.too-few-shares', () => combineShares(made.recovery, few));
        if (few.length < 2) return;
        const guess = await combine(few.map(({ share }) => bytesOf(share)));
        expect(hex(await kemPublicKey(guess))).to.not.equal(hex(made.recovery.kemPublicKey));
      }),
      { numRuns: 15 },
    );
  });

  it('are refused where there are none', async () => {
    await expectRefusal('break-glass.too-few-shares', () => combineShares(recovery, []));
  });

  it('leave the given shares as they were, for another attempt', async () => {
    const before = bytesOf(ada.share);
    await combineShares(recovery, [ada, grace]);
    expect(hex(bytesOf(ada.share))).to.equal(hex(before));
  });

  it('say whose they are, in the order of the request', () => {
    expect(shares.map((share) => proveOfficer(recovery, share))).to.deep.equal(request.officers);
    for (const { share, officer, ...rest } of shares) {
      expect(share.sizeBytes).to.equal(33);
      expect(rest).to.deep.equal({
        fleet: 'fleet-a',
        role: 'custodian',
        id: 'custodian-1',
        setId: recovery.setId,
      });
    }
  });

  it('belong to a new set and a new key every time', async () => {
    const other = await newRecovery();
    expect(recovery.setId).to.match(/^[0-9a-f]{32}$/);
    expect(other.recovery.setId).to.not.equal(recovery.setId);
    expect(hex(other.recovery.kemPublicKey)).to.not.equal(hex(recovery.kemPublicKey));
  });

  describe('that are corrupt', () => {
    it('are named, whichever byte and whichever bit it is', async () => {
      for (let i = 0; i < 33; i += 1) {
        for (const bit of [1, 0x80]) {
          const bytes = bytesOf(grace.share);
          bytes[i] = (bytes[i] ?? 0) ^ bit;
          const corrupt = withShareBytes(grace, bytes);
          const error = await expectRefusal('break-glass.corrupt-share', () =>
            combineShares(recovery, [ada, corrupt, emmy]),
          );
          expect(error).to.be.instanceOf(VerificationError);
          expect(error.message).to.contain('"grace"').and.not.contain('"ada"').and.not.contain('"emmy"');
          await expectRefusal('break-glass.corrupt-share', () => proveOfficer(recovery, corrupt));
        }
      }
    });

    it('are all named', async () => {
      const corrupt = [ada, emmy].map((share) =>
        withShareBytes(share, withBitFlipped(bytesOf(share.share), 0)),
      );
      const error = await expectRefusal('break-glass.corrupt-share', () =>
        combineShares(recovery, [...corrupt, grace]),
      );
      expect(error.message).to.contain('"ada", "emmy"');
    });

    it('are found when cut short, extended or empty', async () => {
      const bytes = bytesOf(ada.share);
      for (const wrong of [bytes.subarray(0, 32), Buffer.concat([bytes, Buffer.of(0)]), new Uint8Array()]) {
        await expectRefusal('break-glass.corrupt-share', () =>
          combineShares(recovery, [withShareBytes(ada, wrong), grace]),
        );
      }
    });

    it("are found under another officer's name", async () => {
      const swapped = { ...ada, officer: 'grace' };
      await expectRefusal('break-glass.corrupt-share', () => proveOfficer(recovery, swapped));
      const error = await expectRefusal('break-glass.corrupt-share', () =>
        combineShares(recovery, [swapped, emmy]),
      );
      expect(error.message).to.contain('"grace"');
    });
  });

  describe('that do not belong', () => {
    for (const [what, changes] of [
      ['another set of the same officers', {}],
      ['another custodian', { id: 'custodian-2' }],
      ['another fleet', { fleet: 'fleet-b' }],
      ['another role', { role: 'owner' }],
    ] as const) {
      it(`are refused: of ${what}`, async () => {
        const other = (await newRecovery(changes)).shares[0] as OfficerShare;
        await expectRefusal('break-glass.other-set', () => combineShares(recovery, [other, grace]));
        const error = await expectRefusal('break-glass.other-set', () => proveOfficer(recovery, other));
        expect(error).to.be.instanceOf(RefusedError);
      });
    }

    it('are refused: of another owner that claims this set', async () => {
      for (const owner of [{ fleet: 'fleet-b' }, { role: 'owner' }, { id: 'custodian-2' }] as const) {
        await expectRefusal('break-glass.other-set', () => proveOfficer(recovery, { ...ada, ...owner }));
      }
    });

    it('are refused: of another set, even when relabelled', async () => {
      const other = (await newRecovery()).shares[0] as OfficerShare;
      const relabelled = { ...other, setId: recovery.setId };
      await expectRefusal('break-glass.corrupt-share', () => combineShares(recovery, [relabelled, grace]));
    });

    it('are refused: of somebody who is no officer', async () => {
      const stranger = { ...ada, officer: 'mallory' };
      await expectRefusal('break-glass.unknown-officer', () => combineShares(recovery, [stranger, grace]));
      await expectRefusal('break-glass.unknown-officer', () => proveOfficer(recovery, stranger));
    });

    it('are refused: of one officer twice', async () => {
      const error = await expectRefusal('break-glass.same-officer', () =>
        combineShares(recovery, [ada, grace, ada]),
      );
      expect(error.message).to.contain('"ada"');
    });
  });

  describe('under a description that was changed', () => {
    it('do not fit another public key, threshold or list of officers, which each of them finds alone', async () => {
      const [first, second, third] = recovery.officers as [RecoveryOfficer, RecoveryOfficer, RecoveryOfficer];
      const { publicKey } = await generateKemKey();
      const forged: RecoveryDescription[] = [
        { ...recovery, kemPublicKey: publicKey },
        { ...recovery, threshold: 3 },
        { ...recovery, officers: [first, second] },
        { ...recovery, officers: [second, first, third] },
        { ...recovery, officers: [first, second, { ...third, name: 'mallory' }] },
      ];
      for (const description of forged) {
        await expectRefusal('break-glass.corrupt-share', () => proveOfficer(description, ada));
        await expectRefusal('break-glass.corrupt-share', () => combineShares(description, [ada, grace]));
      }
    });

    it('do not fit when moved to another owner with the description', async () => {
      for (const owner of [{ fleet: 'fleet-b' }, { role: 'owner' }, { id: 'custodian-2' }] as const) {
        await expectRefusal('break-glass.corrupt-share', () =>
          proveOfficer({ ...recovery, ...owner }, { ...ada, ...owner }),
        );
      }
    });

    it('do not fit a changed commitment', async () => {
      const forged = withOfficer(recovery, 'ada', (officer) => ({
        ...officer,
        commitment: withBitFlipped(officer.commitment, 31),
      }));
      await expectRefusal('break-glass.corrupt-share', () => combineShares(forged, [ada, grace]));
      expect(proveOfficer(forged, grace)).to.equal('grace');
    });

    it('are refused with a changed tag', async () => {
      for (const tag of [withBitFlipped(recovery.officers[0]?.tag as Uint8Array, 0), new Uint8Array(31)]) {
        const forged = withOfficer(recovery, 'ada', (officer) => ({ ...officer, tag }));
        await expectRefusal('break-glass.wrong-key', () => combineShares(forged, [ada, grace]));
        await combineShares(forged, [grace, emmy]);
      }
    });

    it("are refused with each other's tags", async () => {
      const [first, second] = recovery.officers as [RecoveryOfficer, RecoveryOfficer];
      const forged = withOfficer(recovery, 'ada', (officer) => ({ ...officer, tag: second.tag }));
      const both = withOfficer(forged, 'grace', (officer) => ({ ...officer, tag: first.tag }));
      await expectRefusal('break-glass.wrong-key', () => combineShares(both, [ada, grace]));
    });

    /** The description after somebody exchanged a share and made the commitment fit it. */
    function withExchangedShare(bytes: Uint8Array): [RecoveryDescription, OfficerShare] {
      const share = withShareBytes(ada, bytes);
      const terms = recoveryTermsDigest(recovery, request.officers);
      const commitment = shareCommitment({ terms, officer: 'ada', share: share.share });
      return [withOfficer(recovery, 'ada', (officer) => ({ ...officer, commitment })), share];
    }

    it('are refused when exchanged together with their commitment', async () => {
      for (const index of [0, 31]) {
        const [forged, share] = withExchangedShare(withBitFlipped(bytesOf(ada.share), index));
        expect(proveOfficer(forged, share)).to.equal('ada');
        for (const given of [
          [share, grace],
          [share, grace, emmy],
        ]) {
          const error = await expectRefusal('break-glass.wrong-key', () => combineShares(forged, given));
          expect(error).to.be.instanceOf(VerificationError);
        }
      }
    });

    it('are refused when two of them lie at one point', async () => {
      const [forged, share] = withExchangedShare(bytesOf(grace.share));
      await expectRefusal('break-glass.wrong-key', () => combineShares(forged, [share, grace]));
    });

    it('are refused with another length, even with a commitment to it', async () => {
      for (const wrong of [bytesOf(ada.share).subarray(1), new Uint8Array(34), new Uint8Array()]) {
        const [forged, share] = withExchangedShare(wrong);
        await expectRefusal('break-glass.corrupt-share', () => combineShares(forged, [share, grace]));
      }
    });

    it('are refused when only the public key is wrong, and somebody who had the seed checked it all anew', async () => {
      const seed = await combineShares(recovery, shares);
      const terms = { ...recovery, kemPublicKey: (await generateKemKey()).publicKey };
      const digest = recoveryTermsDigest(terms, request.officers);
      const checked = shares.map(({ officer, share }) => ({ terms: digest, officer, share }));
      const tags = shareTags(seed, recovery.setId, checked);
      const officers = checked.map((share, i) => ({
        name: share.officer,
        commitment: shareCommitment(share),
        tag: tags[i] as Uint8Array,
      }));
      await expectRefusal('break-glass.wrong-key', () => combineShares({ ...terms, officers }, shares));
      await combineShares(recovery, shares);
    });

    it('are refused when the right seed comes with a tag that only an outsider made', async () => {
      const terms = recoveryTermsDigest(recovery, request.officers);
      const [tag] = shareTags(SecretBytes.random(32), recovery.setId, [
        { terms, officer: 'ada', share: ada.share },
      ]);
      const forged = withOfficer(recovery, 'ada', (officer) => ({ ...officer, tag: tag as Uint8Array }));
      await expectRefusal('break-glass.wrong-key', () => combineShares(forged, [ada, grace]));
    });
  });

  describe('that nobody could use', () => {
    for (const [what, changes] of [
      ['a threshold of one', { threshold: 1 }],
      ['a threshold above the number of officers', { threshold: 4 }],
      ['a threshold that is no integer', { threshold: 2.5 }],
      ['a single officer', { officers: ['ada'], threshold: 1 }],
      ['no officer', { officers: [] }],
      ['more than 20 officers', { officers: names(21) }],
      ['an officer twice', { officers: ['ada', 'grace', 'ada'] }],
      ['a name that could drive a terminal', { officers: ['ada', 'gr\u001b[2Jace'] }],
      ['an empty name', { officers: ['ada', ''] }],
      ['an id that is none', { id: '../custodian' }],
      ['a fleet that is none', { fleet: '' }],
    ] as const) {
      it(`are not made: ${what}`, async () => {
        await expectRefusal('break-glass.bad-recovery', () => newRecovery(changes));
      });
    }
  });

  describe('in what is printed', () => {
    let made: Recovery;
    before(async () => {
      made = await createRecovery(request);
    });

    it('do not show, nor does the seed', async () => {
      const seed = await combineShares(made.recovery, made.shares);
      const holder = { made, seed };
      const secrets = [seed, ...made.shares.map(({ share }) => share)].map(bytesOf);
      for (const text of [
        JSON.stringify(holder),
        inspect(holder, { depth: null, showHidden: true, getters: true, maxArrayLength: null }),
      ]) {
        expect(text).to.contain(made.recovery.setId);
        for (const secret of secrets) {
          expect(shows(text, secret)).to.equal(false);
          expect(shows(inspect({ text, leaked: secret }, { maxArrayLength: null }), secret)).to.equal(true);
          expect(shows(text + Buffer.from(secret).toString('base64'), secret)).to.equal(true);
        }
      }
    });

    it('do not show in errors', async () => {
      const [first, second] = made.shares as [OfficerShare, OfficerShare];
      const corrupt = withShareBytes(first, withBitFlipped(bytesOf(first.share), 32));
      const forged = withOfficer(made.recovery, first.officer, (officer) => ({
        ...officer,
        tag: new Uint8Array(32),
      }));
      const errors = [
        await expectRefusal('break-glass.corrupt-share', () =>
          combineShares(made.recovery, [corrupt, second]),
        ),
        await expectRefusal('break-glass.too-few-shares', () => combineShares(made.recovery, [first])),
        await expectRefusal('break-glass.same-officer', () => combineShares(made.recovery, [first, first])),
        await expectRefusal('break-glass.other-set', () => combineShares(recovery, [first])),
        await expectRefusal('break-glass.unknown-officer', () =>
          combineShares(made.recovery, [{ ...first, officer: 'mallory' }]),
        ),
        await expectRefusal('break-glass.wrong-key', () => combineShares(forged, [first, second])),
      ];
      for (const error of errors) {
        expect(error.cause).to.equal(undefined);
        for (const { share } of made.shares) {
          expect(shows(inspect(error, { depth: null, showHidden: true }), bytesOf(share))).to.equal(false);
        }
      }
    });
  });
});
