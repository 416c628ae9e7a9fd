/** An aggregate's contributors: their signed headers and sealed shares, one at a time, each checked. */
import { FormatError, RefusedError } from '../errors.js';
import { type Envelope, readEnvelope } from '../package/envelope.js';
import { setDigest } from '../package/fingerprint.js';
import type { AggregateBody } from '../package/messages/aggregate.js';
import type { ContributorLists } from '../package/messages/contributors.js';
import type { Container } from '../package/reader.js';
import { StreamPieces } from '../package/stream-pieces.js';
import { requireAggregator } from './roster.js';
import type { TrustedPlan } from './trusted-plan.js';
import { checkShares, checkUpdate } from './trusted-update.js';
import { updateWeights, WeightTally } from './weights.js';

export interface Contribution {
  readonly envelope: Envelope<'update'>;
  /** The update's whole `shares` section, as its client signed it. */
  readonly shares: Uint8Array;
}

export interface TrustedAggregate {
  readonly body: AggregateBody;
  readonly fingerprint: Uint8Array;
  /** Fingerprints of the accepted updates, in bytewise order. */
  readonly updates: readonly Uint8Array[];
  /** What names the set: see `setDigest`. */
  readonly set: Uint8Array;
}

/**
 * Verifies an aggregate's header: signed by an aggregator of the roster, for this plan, with no fewer than the quorum
 * and no more than the plan holds. Its contributors are checked by {@link contributions}.
 *
 * @throws RefusedError `aggregate.wrong-round`, `aggregate.wrong-plan`, `aggregate.below-quorum`,
 *   `aggregate.too-many-clients`, `roster.unknown-aggregator`
 * @throws VerificationError `container.*`
 */
export async function checkAggregate(
  aggregate: Container<'aggregate'>,
  plan: TrustedPlan,
): Promise<TrustedAggregate> {
  const { body } = aggregate;
  const aggregator = requireAggregator(plan.roster, body.aggregator);
  await aggregate.verify(aggregator.keys, plan.roster.body.signatureAlgorithms);
  for (const field of ['fleet', 'policy', 'cohort', 'round'] as const) {
    if (body[field] !== plan.body[field]) {
      throw new RefusedError(
        'aggregate.wrong-round',
        `The aggregate belongs to ${field} ${body[field]}, the plan to ${field} ${plan.body[field]}. Use this round's files.`,
      );
    }
  }
  if (Buffer.compare(body.plan, plan.fingerprint) !== 0) {
    throw new RefusedError(
      'aggregate.wrong-plan',
      `The aggregate was made under another plan of round ${plan.body.round}. Use the plan that its updates were sealed under.`,
    );
  }
  if (body.accepted.length < plan.body.quorum) {
    throw new RefusedError(
      'aggregate.below-quorum',
      `The aggregate holds ${body.accepted.length} updates; the plan's quorum is ${plan.body.quorum}. Wait for more updates.`,
    );
  }
  if (body.accepted.length > plan.body.lwe.maxClients) {
    throw new RefusedError(
      'aggregate.too-many-clients',
      `The aggregate holds ${body.accepted.length} updates; the plan decodes at most ${plan.body.lwe.maxClients}.`,
    );
  }
  const updates = body.accepted.map(({ update }) => update);
  return { body, fingerprint: aggregate.fingerprint, updates, set: setDigest(updates) };
}

function endsEarly(): FormatError {
  return new FormatError('aggregate.section-too-short', 'A section ends within an update.');
}

/** What lists contributors and carries their envelopes and shares. */
type Sum = Pick<Container<'aggregate'>, 'streamSection'> & { readonly body: ContributorLists };

/**
 * The contributors in the order of `accepted`, each verified: enrolled, signed, for exactly this plan, with the
 * fingerprint that the sum lists and the shares that it signed. Constant memory in their number.
 *
 * @throws VerificationError `update.shares-changed`, `container.*`; RefusedError `update.*`, `roster.*`,
 *   `aggregate.mislabelled`
 */
export async function* contributors(sum: Sum, plan: TrustedPlan): AsyncGenerator<Contribution, void, void> {
  const { accepted, envelopeLengths, shareLengths } = sum.body;
  const envelopes = new StreamPieces(sum.streamSection('envelopes'));
  const sealed = new StreamPieces(sum.streamSection('shares'));
  try {
    for (const [i, { client, update }] of accepted.entries()) {
      const envelope = readEnvelope(await envelopes.take(envelopeLengths[i] as number, endsEarly), 'update');
      if (Buffer.compare(envelope.fingerprint, update) !== 0 || envelope.body.client !== client) {
        throw new RefusedError(
          'aggregate.mislabelled',
          `Entry ${i + 1} of the sum lists another update or client than the header that it carries.`,
        );
      }
      await checkUpdate(envelope, plan);
      const shares = await sealed.take(shareLengths[i] as number, endsEarly);
      await checkShares(envelope, shares);
      yield { envelope, shares };
    }
  } finally {
    await envelopes.end();
    await sealed.end();
  }
}

/**
 * The contributors of an aggregate, as {@link contributors}. After the last one their weights are held against the quorum:
 * who acts on a contributor iterates to the end first.
 *
 * @param tally takes their weights
 * @throws as {@link contributors}; RefusedError `weights.*`
 */
export async function* contributions(
  aggregate: Container<'aggregate'>,
  plan: TrustedPlan,
  tally = new WeightTally(plan.body),
): AsyncGenerator<Contribution, void, void> {
  for await (const contribution of contributors(aggregate, plan)) {
    const { body } = contribution.envelope;
    tally.add(body.client, updateWeights(plan.body, body));
    yield contribution;
  }
  tally.requireBalanced();
}
