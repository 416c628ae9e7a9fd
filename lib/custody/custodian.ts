/**
 * The custodian: answers for the sum of one set's secrets, once a round, sealed to the owner.
 *
 * It has no call that answers for one client. Everything is verified, and every share opened, before the round is
 * claimed in the ledger; the claim is on the disk before an answer leaves.
 */
import { RefusedError, TensorGuardError, VerificationError } from '../errors.js';
import type { Container } from '../package/reader.js';
import type { SigningKey } from '../package/signing-key.js';
import { containerBytes, encodeContainer } from '../package/writer.js';
import { answerInfo, shareInfo } from './bindings.js';
import { checkAggregate, contributions, type TrustedAggregate } from './contributions.js';
import { hex } from './fields.js';
import { openSealed, sealTo } from './hpke.js';
import type { Ledger } from './ledger.js';
import { requireCustodian, requireOwnKey } from './roster.js';
import { describeRound, type RoundKey } from './round-key.js';
import type { SecretBytes } from './secret-bytes.js';
import { ShareSum, sealedShareSlot } from './sharing.js';
import type { TrustedPlan } from './trusted-plan.js';

/** Facts of an act for the audit trail, by name. */
type ActDetail = Readonly<Record<string, string | number>>;

export interface CustodianIdentity {
  readonly id: string;
  readonly signing: SigningKey;
  /**
   * The KEM secret of an epoch, which is wiped once the shares are open.
   *
   * @param what it is needed for
   * @throws RefusedError `custodian.no-epoch-key`, or what its state refuses with
   */
  readonly epochKey: (epoch: number, what: string) => Promise<SecretBytes>;
  readonly ledger: Ledger;
  /** Whether an answer of an epoch, which is in the ledger, is given again: not once the epoch is over. */
  readonly givesAgain?: (epoch: number) => boolean;
  /** Records an answer: it is on the disk when this returns, before the act takes effect. */
  readonly record: (detail: ActDetail) => Promise<void>;
  /** Records a refusal, or that there were too many to record each, before the error is returned. */
  readonly refuse: (detail: ActDetail & { readonly code: string }) => Promise<void>;
}

export interface CustodianAnswer {
  /** The `.tgs` file. A retry gives the same bytes. */
  readonly answer: Uint8Array;
  readonly replayed: boolean;
  readonly contributors: number;
}

function roundOf(plan: TrustedPlan): RoundKey {
  const { fleet, policy, cohort, round } = plan.body;
  return { fleet, policy, cohort, round };
}

/**
 * Answers for an aggregate with the sum of this custodian's shares.
 *
 * @throws RefusedError `custodian.ledger-behind`, `custodian.no-epoch-key`, `custodian.bad-share`, `key.*`,
 *   `ledger.round-has-another-plan`, `ledger.round-already-answered`, `ledger.update-already-used`,
 *   `aggregate.*`, `update.*`, `roster.*`
 * @throws VerificationError `container.*`, `update.shares-changed`
 */
export async function answerRound(
  custodian: CustodianIdentity,
  plan: TrustedPlan,
  aggregate: Container<'aggregate'>,
): Promise<CustodianAnswer> {
  const facts = { round: describeRound(roundOf(plan)), plan: hex(plan.fingerprint) };
  try {
    return await answerChecked(custodian, plan, aggregate, facts);
  } catch (error) {
    if (error instanceof TensorGuardError) await custodian.refuse({ ...facts, code: error.code });
    throw error;
  }
}

async function answerChecked(
  custodian: CustodianIdentity,
  plan: TrustedPlan,
  aggregate: Container<'aggregate'>,
  facts: ActDetail,
): Promise<CustodianAnswer> {
  const listed = requireCustodian(plan.roster, custodian.id);
  requireOwnKey(listed.keys, custodian.signing.publicKeys, `custodian "${custodian.id}"`);
  requireLedgerAhead(custodian, plan);
  const checked = await checkAggregate(aggregate, plan);
  const request = { ...roundOf(plan), plan: plan.fingerprint, set: checked.set, updates: checked.updates };
  // Before a key is unlocked for it; the claim itself comes last.
  custodian.ledger.requireAnswerable(request);
  const stored = custodian.ledger.answerFor(request);
  if (stored !== undefined && (custodian.givesAgain?.(plan.body.keyEpoch) ?? true)) {
    return { answer: stored, replayed: true, contributors: checked.updates.length };
  }
  const sum = await sumOfShares(custodian, listed.index, plan, aggregate);
  try {
    const contributors = checked.updates.length;
    await custodian.record({ ...facts, set: hex(checked.set), contributors });
    const { answer, replayed } = await custodian.ledger.answerOnce(request, (ledgerHead) =>
      sealAnswer(custodian, listed.index, plan, checked, sum, ledgerHead),
    );
    return { answer, replayed, contributors };
  } finally {
    sum.fill(0);
  }
}

/** The plan lists the newest head that the owner saw; a ledger that does not know it was restored, and is too old. */
function requireLedgerAhead(custodian: CustodianIdentity, plan: TrustedPlan): void {
  const seen = plan.body.ledgerHeads.find((entry) => entry.custodian === custodian.id);
  if (seen !== undefined && !custodian.ledger.hasHead(seen.head)) {
    throw new RefusedError(
      'custodian.ledger-behind',
      'The plan names a state of this ledger that the ledger does not know: it was restored from a backup and may have ' +
        'forgotten answers. This custodian must not answer any more; make a new one, with new keys.',
    );
  }
}

async function sumOfShares(
  custodian: CustodianIdentity,
  index: number,
  plan: TrustedPlan,
  aggregate: Container<'aggregate'>,
): Promise<Uint8Array> {
  const epochKey = await custodian.epochKey(plan.body.keyEpoch, describeRound(roundOf(plan)));
  const slot = sealedShareSlot(plan.body, index);
  const sum = new ShareSum(plan.body, plan.fingerprint, index);
  const bad: string[] = [];
  try {
    for await (const { envelope, shares } of contributions(aggregate, plan)) {
      // Computed here from what was verified, never read from the update: a seal that was copied into another client's
      // update does not open.
      const info = shareInfo({
        ...roundOf(plan),
        plan: plan.fingerprint,
        client: envelope.body.client,
        clientKeyId: envelope.header.signer,
        custodian: custodian.id,
        custodianIndex: index,
        keyEpoch: plan.body.keyEpoch,
      });
      const sealed = shares.subarray(slot.offset, slot.offset + slot.length);
      const share = await epochKey
        .use((seed) => openSealed(seed, info, sealed))
        .catch((error: unknown) => {
          if (error instanceof VerificationError) return undefined;
          throw error;
        });
      if (share === undefined || !sum.add(share)) bad.push(envelope.body.client);
      share?.fill(0);
    }
    if (bad.length > 0) {
      throw new RefusedError(
        'custodian.bad-share',
        `The shares of ${bad.map((id) => `"${id}"`).join(', ')} for custodian "${custodian.id}" do not open: they were ` +
          'sealed to another key, or copied from another update. Aggregate again without them; nothing was answered.',
      );
    }
    return sum.packed();
  } finally {
    epochKey.wipe();
    sum.wipe();
  }
}

async function sealAnswer(
  custodian: CustodianIdentity,
  index: number,
  plan: TrustedPlan,
  aggregate: TrustedAggregate,
  sum: Uint8Array,
  ledgerHead: Uint8Array,
): Promise<Uint8Array> {
  const { body } = plan.roster;
  const round = roundOf(plan);
  const info = answerInfo({
    ...round,
    plan: plan.fingerprint,
    set: aggregate.set,
    custodian: custodian.id,
    custodianIndex: index,
    keyEpoch: plan.body.keyEpoch,
    ownerKeyId: plan.roster.ownerKeyId,
  });
  const container = await encodeContainer({
    kind: 'answer',
    body: {
      ...round,
      plan: plan.fingerprint,
      set: aggregate.set,
      custodian: custodian.id,
      index,
      epoch: plan.body.keyEpoch,
      contributors: aggregate.updates.length,
      ledgerHead,
    },
    sections: [{ name: 'sealed', data: await sealTo(body.owner.kem, info, sum) }],
    signer: custodian.signing,
  });
  return containerBytes(container);
}
