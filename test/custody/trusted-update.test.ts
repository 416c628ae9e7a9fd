import { expect } from 'chai';
import { checkShares, checkUpdate } from '../../lib/custody/trusted-update.js';
import { openContainer } from '../../lib/package/reader.js';
import { type CraftedUpdate, craftUpdate } from '../round/support/forgery.js';
import { TestRound } from '../round/support/round.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { bytes32, withBitFlipped } from './support/bytes.js';

describe('a trusted update', () => {
  let round: TestRound;

  before(async () => {
    round = await TestRound.start(await temporaryDirectory());
  });

  async function check(crafted: CraftedUpdate, number = 1): Promise<void> {
    const bytes = await craftUpdate(round.plan, round.client(number), crafted);
    await checkUpdate(await openContainer(bytes, 'update'), round.plan);
  }

  it('is one that an active client signed for exactly this plan', async () => {
    await check({});
    await check({}, 3);
    await check({ body: { weights: [0] } });
  });

  const refusals: readonly [what: string, code: string, () => CraftedUpdate][] = [
    ['is of another fleet', 'update.wrong-round', () => ({ body: { fleet: 'other' } })],
    ['is of another policy', 'update.wrong-round', () => ({ body: { policy: 'place' } })],
    ['is of another cohort', 'update.wrong-round', () => ({ body: { cohort: 'b' } })],
    ['is of another round', 'update.wrong-round', () => ({ body: { round: 2 } })],
    [
      'is of another plan of the round',
      'update.wrong-plan',
      () => ({ body: { plan: bytes32('another plan') } }),
    ],
    ['is of nobody enrolled', 'roster.unknown-client', () => ({ body: { client: 'client-9' } })],
    ['claims to be of another client', 'container.wrong-signer', () => ({ body: { client: 'client-2' } })],
    ['is signed by another client', 'container.wrong-signer', () => ({ signer: round.client(2).signing })],
    ['is signed by the owner', 'container.wrong-signer', () => ({ signer: round.members.owner.signing })],
    ['has another parameter set', 'update.wrong-field', () => ({ body: { parameterSet: 'lwe-192' } })],
    ['has another key epoch', 'update.wrong-field', () => ({ body: { keyEpoch: 2 } })],
    [
      'has another adapter’s schema',
      'update.wrong-field',
      () => ({ body: { adapterSchema: bytes32('another schema') } }),
    ],
    [
      'declares more weights than its plan has',
      'update.wrong-weights',
      () => ({ body: { weights: [65_536, 65_536] } }),
    ],
    [
      'declares a staleness and its plan has none',
      'update.wrong-staleness',
      () => ({ body: { staleness: 0 } }),
    ],
    [
      'has a ciphertext that is too short',
      'update.wrong-size',
      () => ({ sections: { ciphertext: new Uint8Array(round.plan.arithmetic.ciphertextBytes - 4) } }),
    ],
    [
      'has shares that are too long',
      'update.wrong-size',
      () => ({ sections: { shares: new Uint8Array(1168 + 2 * (3328 + 1136) + 1) } }),
    ],
  ];
  for (const [what, code, crafted] of refusals) {
    it(`is refused where it ${what}`, async () => {
      await expectRefusal(code, () => check(crafted()));
    });
  }

  it('has the shares that its client signed, all of them and unchanged', async () => {
    const bytes = await craftUpdate(round.plan, round.client(1));
    const update = await openContainer(bytes, 'update');
    const shares = await update.readSection('shares');
    await checkShares(update, shares);
    for (const other of [
      withBitFlipped(shares, 0),
      withBitFlipped(shares, shares.length - 1),
      shares.subarray(1),
      new Uint8Array(),
    ]) {
      const error = await expectRefusal('update.shares-changed', () => checkShares(update, other));
      expect(error.message).to.include('client-1');
    }
  });
});
