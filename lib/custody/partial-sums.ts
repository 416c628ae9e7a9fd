/**
 * A gateway's partial sum, checked by the aggregator and by the owner who verifies a sum. What a custodian checks it does not
 * change: every contributor's signed header and sealed shares reach it as if the client had sent its update itself.
 *
 * That the ciphertext is the sum of the contributors' is the gateway's word. One that lies can spoil the sum or shift it, as
 * a lying aggregator can, and nobody else ever had the ciphertexts to tell.
 */
import { RefusedError } from '../errors.js';
import type { Envelope } from '../package/envelope.js';
import { requireGateway } from './roster.js';
import type { TrustedPlan } from './trusted-plan.js';

/**
 * Verifies a partial sum's header: signed by a gateway of the roster, for exactly this plan, with a ciphertext of the plan's
 * size and no more contributors than the plan holds. Nothing has been read of the sections then.
 *
 * @throws RefusedError `roster.unknown-gateway`, `partial-sum.wrong-round`, `partial-sum.wrong-size`,
 *   `partial-sum.too-many-clients`; VerificationError `container.*`
 */
export async function checkPartialSum(envelope: Envelope<'partial-sum'>, plan: TrustedPlan): Promise<void> {
  const { body, header } = envelope;
  const gateway = requireGateway(plan.roster, body.gateway);
  await envelope.verify(gateway.keys, plan.roster.body.signatureAlgorithms);
  const isOfRound = (['fleet', 'policy', 'cohort', 'round'] as const).every(
    (field) => body[field] === plan.body[field],
  );
  if (!isOfRound || Buffer.compare(body.plan, plan.fingerprint) !== 0) {
    throw new RefusedError(
      'partial-sum.wrong-round',
      `The partial sum of gateway "${body.gateway}" is of another plan than this one of round ${plan.body.round}. Sum this ` +
        "round's updates.",
    );
  }
  if (body.accepted.length > plan.body.lwe.maxClients) {
    throw new RefusedError(
      'partial-sum.too-many-clients',
      `The partial sum holds ${body.accepted.length} updates; the plan decodes at most ${plan.body.lwe.maxClients}.`,
    );
  }
  const bytes = header.sections.find(({ name }) => name === 'ciphertext')?.length;
  if (bytes !== plan.arithmetic.ciphertextBytes) {
    throw new RefusedError(
      'partial-sum.wrong-size',
      `The ciphertext of gateway "${body.gateway}" has ${bytes} bytes; the plan gives ${plan.arithmetic.ciphertextBytes}.`,
    );
  }
}
