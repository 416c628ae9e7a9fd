import { join } from 'node:path';
import { expect } from 'chai';
import { answerRound } from '../../lib/custody/custodian.js';
import { createLedger } from '../../lib/custody/ledger.js';
import { sharesSectionBytes } from '../../lib/custody/sharing.js';
import { headerAllowanceBytes, readTrustedPlan, type TrustedPlan } from '../../lib/custody/trusted-plan.js';
import { planArithmetic } from '../../lib/lwe/plan.js';
import { openContainer } from '../../lib/package/reader.js';
import { importSecret } from '../../lib/package/signing-key.js';
import { RoundRecords } from '../../lib/round/round-records.js';
import { custodianOf } from '../custody/support/identities.js';
import { pathsBelow } from '../round/support/directories.js';
import { craftUpdate, signAgain, withSignatureChanged } from '../round/support/forgery.js';
import type { ReceivingMember } from '../round/support/members.js';
import { derivedSeed, rosterBody, signRoster, trustRosters } from '../round/support/members.js';
import { ANSWERS, UPDATES, vector, vectorPath } from './files.js';
import {
  aggregating,
  answering,
  type Case,
  client,
  describeRefusals,
  newPlaces,
  opening,
  openRounds,
  planned,
  round,
  summed,
} from './steps.js';

const crafted =
  (change: () => Parameters<typeof craftUpdate>[2], number = 4): Case[2] =>
  async (places) =>
    aggregating(places, [
      'update-1.tgu',
      'update-2.tgu',
      await craftUpdate(round.plan, client(number), change()),
    ]);

const UPDATES_REFUSED: readonly Case[] = [
  [
    'of another round',
    'update.wrong-round',
    async (places) => {
      const other = await planned(() => ({ round: 8 }));
      await aggregating(places, ['update-1.tgu', 'update-2.tgu', await craftUpdate(other, client(4))]);
    },
  ],
  [
    'sealed under another plan of the same round',
    'update.wrong-plan',
    async (places) => {
      const other = await planned(() => ({ seed: derivedSeed('another public mask') }));
      await aggregating(places, ['update-1.tgu', 'update-2.tgu', await craftUpdate(other, client(4))]);
    },
  ],
  [
    'of a client that is not enrolled',
    'roster.unknown-client',
    crafted(() => ({
      body: { client: 'client-9' },
      signer: importSecret({ ed25519: derivedSeed('stranger') }),
    })),
  ],
  [
    'of an enrolled client by a stranger',
    'container.wrong-signer',
    crafted(() => ({ signer: importSecret({ ed25519: derivedSeed('stranger') }) })),
  ],
  [
    'of a client that was revoked',
    'roster.client-revoked',
    async (places) => {
      const body = rosterBody(round.members, { version: 2 });
      const clients = body.clients.map((entry) =>
        entry.id === 'client-4' ? { ...entry, status: 'revoked' as const } : entry,
      );
      const plan = await planned(() => ({}), { clients });
      const updates: Uint8Array[] = [];
      for (const number of [1, 2, 4]) updates.push(await craftUpdate(plan, client(number)));
      await aggregating(places, updates, { ...round, plan, roster: plan.roster });
    },
  ],
  [
    'that is there twice',
    'update.duplicate-client',
    (places) => aggregating(places, ['update-1.tgu', 'update-2.tgu', 'update-1.tgu']),
  ],
  ['that is its client’s second', 'update.duplicate-client', crafted(() => ({}), 1)],
  [
    'with a ciphertext of another length',
    'update.wrong-size',
    crafted(() => ({ sections: { ciphertext: new Uint8Array(4) } })),
  ],
  [
    'larger than the roster’s ceiling',
    'container.too-large',
    async (places) => {
      const { plan: generous } = round;
      const maxUpdateBytes =
        generous.arithmetic.ciphertextBytes +
        sharesSectionBytes(generous.body) +
        headerAllowanceBytes(generous.body.tensors, [
          generous.arithmetic.ciphertextBytes,
          sharesSectionBytes(generous.body),
        ]);
      const plan = await planned(() => ({}), { maxUpdateBytes });
      const ciphertext = new Uint8Array(maxUpdateBytes);
      const file = await craftUpdate(plan, client(2), { sections: { ciphertext } });
      await aggregating(places, [file], { ...round, plan, roster: plan.roster });
    },
  ],
  [
    'with one other only: below the quorum',
    'aggregate.below-quorum',
    (places) => aggregating(places, ['update-1.tgu', 'update-2.tgu']),
  ],
];

const AGGREGATES: readonly Case[] = [
  [
    'below the quorum, by the custodian',
    'aggregate.below-quorum',
    async (places) => {
      const { plan } = await belowQuorum();
      await answering(places, [plan.aggregate], plan.trusted);
    },
  ],
  [
    'below the quorum, by the owner',
    'aggregate.below-quorum',
    async (places) => {
      const { plan } = await belowQuorum();
      await opening(places, { plan: plan.trusted, aggregate: plan.aggregate });
    },
  ],
  [
    'of another set of the same round, by the custodian that has answered',
    'ledger.round-already-answered',
    async (places) =>
      answering(places, [
        await vector('aggregate.tga'),
        await summed(['update-1.tgu', 'update-2.tgu', 'update-4.tgu']),
      ]),
  ],
  [
    'of a larger set of the same round, by the custodian that has answered',
    'ledger.round-already-answered',
    async (places) => answering(places, [await vector('aggregate.tga'), await summed(UPDATES)]),
  ],
  [
    'of another set of the same round, by the owner that has opened one',
    'open.another-set',
    async (places) => {
      const elsewhere = { scratch: places.scratch, out: join(places.scratch, 'first') };
      const records = new RoundRecords(join(elsewhere.out, 'owner'));
      await opening(elsewhere, { records });
      await opening(places, { records, aggregate: await summed(UPDATES) });
    },
  ],
  [
    'with a seal that was copied from another client’s update',
    'custodian.bad-share',
    async (places) => {
      const victim = await openContainer(vectorPath('update-1.tgu'), 'update');
      const sections = {
        ciphertext: await victim.readSection('ciphertext'),
        shares: await victim.readSection('shares'),
      };
      await victim.close();
      const copy = await craftUpdate(round.plan, client(4), { sections });
      await answering(places, [await summed(['update-2.tgu', 'update-3.tgu', copy])]);
    },
  ],
  [
    'whose sum its aggregator shifted',
    'open.sum-shifted',
    async (places) => {
      const good = await openContainer(vectorPath('aggregate.tga'), 'aggregate');
      const ciphertext = await good.readSection('ciphertext');
      await good.close();
      ciphertext[0] = (ciphertext[0] as number) ^ 1;
      const { signing } = round.members.aggregator;
      const file = await vector('aggregate.tga');
      const aggregate = await signAgain('aggregate', file, signing, { sections: { ciphertext } });
      await opening(places, { aggregate, verify: UPDATES.slice(0, 3) });
    },
  ],
  [
    'by another’s signature',
    'container.wrong-signer',
    async (places) =>
      opening(places, {
        aggregate: await signAgain('aggregate', await vector('aggregate.tga'), client(1).signing),
      }),
  ],
];

/** An aggregate of three under a plan that asks for four. */
async function belowQuorum(): Promise<{ plan: { trusted: TrustedPlan; aggregate: Uint8Array } }> {
  const trusted = await planned(() => ({ quorum: 4 }));
  const lax = { ...trusted, body: { ...trusted.body, quorum: 3 } };
  const updates: Uint8Array[] = [];
  for (const number of [1, 2, 3]) updates.push(await craftUpdate(trusted, client(number)));
  return { plan: { trusted, aggregate: await summed(updates, { ...round, plan: lax }) } };
}

const ANSWERS_REFUSED: readonly Case[] = [
  ['too few', 'open.too-few-answers', (places) => opening(places, { answers: ANSWERS.slice(0, 1) })],
  ['none', 'open.too-few-answers', (places) => opening(places, { answers: [] })],
  [
    'one twice',
    'open.duplicate-answer',
    (places) => opening(places, { answers: ['answer-1.tgs', 'answer-1.tgs'] }),
  ],
  [
    'of two rounds',
    'answer.wrong-plan',
    async (places) => {
      const next = await planned(() => ({ round: 8 }));
      const updates: Uint8Array[] = [];
      for (const number of [1, 2, 3]) updates.push(await craftUpdate(next, client(number)));
      const aggregate = await openContainer(await summed(updates, { ...round, plan: next }), 'aggregate');
      const [, custodian] = round.members.custodians;
      const ledger = await createLedger(join(places.scratch, 'ledger.sqlite'));
      const identity = custodianOf(custodian as ReceivingMember, ledger);
      const { answer } = await answerRound(identity, next, aggregate);
      ledger.close();
      await opening(places, { answers: ['answer-1.tgs', answer] });
    },
  ],
  [
    'for another set',
    'answer.wrong-set',
    async (places) =>
      opening(places, { aggregate: await summed(['update-1.tgu', 'update-2.tgu', 'update-4.tgu']) }),
  ],
  [
    'with a signature that was changed',
    'container.bad-signature',
    async (places) =>
      opening(places, {
        answers: ['answer-1.tgs', await withSignatureChanged(await vector('answer-2.tgs'))],
      }),
  ],
  [
    'cut short',
    'container.truncated',
    async (places) =>
      opening(places, { answers: ['answer-1.tgs', (await vector('answer-2.tgs')).subarray(0, -1)] }),
  ],
];

const PLANS: readonly Case[] = [
  ['with a quorum below the floor', 'plan.outside-roster', () => planned(() => ({ quorum: 2 }))],
  ['with another threshold', 'plan.outside-roster', () => planned(() => ({ threshold: 1 }))],
  [
    'with another parameter set',
    'plan.outside-roster',
    () =>
      planned(({ lwe: { maxClients, segments } }) => {
        const parameterSet = 'lwe-192' as const;
        const arithmetic = planArithmetic({
          parameterSet,
          maxClients,
          segments: segments.map(({ bits, valueCount }) => ({ bits, valueCount })),
        });
        const planSegments = arithmetic.segments.map(
          ({ bits, valueCount, fieldBits, fold, plaintextBits, wireBits, ringElements }) => ({
            ...{ bits, valueCount, fieldBits, fold, plaintextBits, wireBits, ringElements },
          }),
        );
        return { parameterSet, lwe: { maxClients, segments: planSegments } };
      }),
  ],
  [
    'with wrong arithmetic',
    'plan.wrong-arithmetic',
    () =>
      planned(({ lwe: { maxClients, segments } }) => {
        const [first, ...rest] = segments as [(typeof segments)[number]];
        return { lwe: { maxClients, segments: [{ ...first, wireBits: first.wireBits + 1 }, ...rest] } };
      }),
  ],
  ['for updates that are too large', 'plan.too-large', () => planned(() => ({}), { maxUpdateBytes: 10_000 })],
  ['of a roster that is over', 'plan.older-roster', () => planned(() => ({ rosterVersion: 1 }), {})],
  [
    'with a signature that was changed',
    'container.bad-signature',
    async () => readTrustedPlan(await withSignatureChanged(await vector('plan.tgp')), round.roster),
  ],
  [
    'by a custodian of the fleet',
    'container.wrong-signer',
    async () => {
      const [custodian] = round.members.custodians;
      const { signing } = custodian as NonNullable<typeof custodian>;
      return readTrustedPlan(await signAgain('plan', await vector('plan.tgp'), signing), round.roster);
    },
  ],
];

const ROSTERS: readonly Case[] = [
  [
    'older than one that was seen',
    'roster.older',
    async ({ scratch }) => {
      const newer = await signRoster(round.members, rosterBody(round.members, { version: 2 }));
      await trustRosters(scratch, newer, await vector('roster.tgo'));
    },
  ],
  [
    'different from one of the same version',
    'roster.equivocation',
    async ({ scratch }) => {
      const other = await signRoster(round.members, rosterBody(round.members, { quorumFloor: 2 }));
      await trustRosters(scratch, await vector('roster.tgo'), other);
    },
  ],
  [
    'of another owner',
    'roster.other-owner',
    async ({ scratch }) =>
      trustRosters(scratch, await vector('roster.tgo'), await vector('hybrid-roster.tgo')),
  ],
  [
    'with a signature that was changed',
    'container.bad-signature',
    async ({ scratch }) => trustRosters(scratch, await withSignatureChanged(await vector('roster.tgo'))),
  ],
  [
    'cut short',
    'container.truncated',
    async ({ scratch }) => trustRosters(scratch, (await vector('roster.tgo')).subarray(0, -1)),
  ],
];

describe('good files in the wrong place are refused, with a code, and nothing written', () => {
  before(openRounds);

  describeRefusals('an update ', UPDATES_REFUSED);
  describeRefusals('an aggregate ', AGGREGATES);
  describeRefusals('answers: ', ANSWERS_REFUSED);
  describeRefusals('a plan ', PLANS);
  describeRefusals('a roster ', ROSTERS);

  it('but not the good files that they were made from', async () => {
    const places = await newPlaces();
    await aggregating(places, UPDATES);
    await opening(places, {});
    await answering(places, [await vector('aggregate.tga')]);
    const written = await pathsBelow(places.out);
    expect(written).to.include('A.tga').and.to.include('S.tgs');
    expect(written).to.include('average/adapter_model.safetensors');
  });
});
