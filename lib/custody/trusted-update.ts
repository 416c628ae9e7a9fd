/** A signed update header, checked against the plan: by the aggregator, every custodian and the owner alike. */
import { RefusedError, VerificationError } from '../errors.js';
import { chunkDigests } from '../package/digests.js';
import type { Envelope } from '../package/envelope.js';
import { requireClient } from './roster.js';
import { sharesSectionBytes } from './sharing.js';
import type { TrustedPlan } from './trusted-plan.js';
import { requireDiscounted, updateWeights } from './weights.js';

/**
 * Verifies that an enrolled, active client signed this header, for exactly this plan, with sections of exactly the
 * sizes that the plan gives. Nothing has been read of the sections then.
 *
 * @throws RefusedError `update.wrong-round`, `update.wrong-plan`, `update.wrong-field`, `update.wrong-weights`,
 *   `update.wrong-staleness`, `update.too-stale`, `update.wrong-size`, `roster.*`
 * @throws VerificationError `container.*`
 */
export async function checkUpdate(envelope: Envelope<'update'>, plan: TrustedPlan): Promise<void> {
  const { body, header } = envelope;
  const planned = plan.body;
  for (const field of ['fleet', 'policy', 'cohort', 'round'] as const) {
    if (body[field] !== planned[field]) {
      throw new RefusedError(
        'update.wrong-round',
        `The update of "${body.client}" belongs to ${field} ${body[field]}, the plan to ${field} ${planned[field]}. ` +
          'Seal for this round.',
      );
    }
  }
  if (Buffer.compare(body.plan, plan.fingerprint) !== 0) {
    throw new RefusedError(
      'update.wrong-plan',
      `The update of "${body.client}" was sealed under another plan of round ${planned.round}. Seal under this one.`,
    );
  }
  const client = requireClient(plan.roster, body.client);
  await envelope.verify(client.keys, plan.roster.body.signatureAlgorithms);
  for (const field of ['parameterSet', 'keyEpoch'] as const) {
    if (body[field] !== planned[field]) wrongField(body.client, field);
  }
  if (Buffer.compare(body.adapterSchema, planned.adapterSchema) !== 0)
    wrongField(body.client, 'adapterSchema');
  updateWeights(planned, body);
  requireDiscounted(planned, body);
  const expected = [plan.arithmetic.ciphertextBytes, sharesSectionBytes(planned)];
  for (const [i, section] of header.sections.entries()) {
    if (section.length !== expected[i]) {
      throw new RefusedError(
        'update.wrong-size',
        `Section "${section.name}" of the update of "${body.client}" has ${section.length} bytes; the plan gives ` +
          `${expected[i]}.`,
      );
    }
  }
}

function wrongField(client: string, field: string): never {
  throw new RefusedError(
    'update.wrong-field',
    `The update of "${client}" has another ${field} than its plan.`,
  );
}

/**
 * Verifies that `shares` is the section that the header was signed with.
 *
 * @throws VerificationError `update.shares-changed`
 */
export async function checkShares(envelope: Envelope<'update'>, shares: Uint8Array): Promise<void> {
  const section = envelope.header.sections.find(({ name }) => name === 'shares');
  const digests = await chunkDigests(shares);
  const same =
    section !== undefined &&
    section.length === shares.length &&
    section.digests.length === digests.length &&
    section.digests.every((digest, i) => Buffer.compare(digest, digests[i] as Uint8Array) === 0);
  if (!same) {
    throw new VerificationError(
      'update.shares-changed',
      `The sealed shares of "${envelope.body.client}" are not the ones it signed: the aggregator changed or mixed them.`,
    );
  }
}
