/**
 * Answering for what somebody sent: a plan and an aggregate, neither of which anybody has checked. The trail has what is
 * refused, whichever of the two it is refused for.
 */
import { EnvironmentError, TensorGuardError } from '../errors.js';
import { openContainer } from '../package/reader.js';
import { answerRound, type CustodianAnswer, type CustodianIdentity } from './custodian.js';
import type { OpenedCustodian } from './custodian-directory.js';
import { hex } from './fields.js';
import { readPlanToServe } from './role-plan.js';
import { describeRound } from './round-key.js';
import type { SecretBytes } from './secret-bytes.js';
import type { TrustedPlan } from './trusted-plan.js';

export interface FilesToAnswer {
  /** The plan (`.tgp`), or its bytes. */
  readonly plan: string | Uint8Array;
  /** The aggregate (`.tga`). */
  readonly aggregate: string;
  /** Refuses files that are not those which were asked for. */
  readonly check?: (fingerprints: { readonly plan: Uint8Array; readonly aggregate: Uint8Array }) => void;
  /** Where the key of the plan's epoch comes from, if not from the key store: break-glass. */
  readonly epochKey?: (plan: TrustedPlan) => Promise<SecretBytes>;
}

/** Where a file is refused, the trail has it before the caller. One that is not there is no word about what was sent. */
async function reading<T>(
  custodian: Pick<CustodianIdentity, 'refuse'>,
  facts: Readonly<Record<string, string>>,
  read: () => Promise<T>,
): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof TensorGuardError && !(error instanceof EnvironmentError)) {
      await custodian.refuse({ ...facts, code: error.code });
    }
    throw error;
  }
}

/** @throws as `readPlanToServe`, `openContainer` and {@link answerRound} do */
export async function answerFiles(
  { role, custodian }: OpenedCustodian,
  files: FilesToAnswer,
): Promise<CustodianAnswer> {
  // A plan that nobody vouches for is named by its code alone: what it says of itself is anybody's text.
  const plan = await reading(custodian, { file: 'plan' }, () =>
    readPlanToServe(role.store.directory, files.plan, role.roster),
  );
  const { fleet, policy, cohort, round } = plan.body;
  const facts = { round: describeRound({ fleet, policy, cohort, round }), plan: hex(plan.fingerprint) };
  const aggregate = await reading(custodian, { ...facts, file: 'aggregate' }, async () => {
    const container = await openContainer(files.aggregate, 'aggregate');
    try {
      files.check?.({ plan: plan.fingerprint, aggregate: container.fingerprint });
      return container;
    } catch (error) {
      await container.close();
      throw error;
    }
  });
  try {
    const { epochKey } = files;
    const answering = epochKey === undefined ? custodian : { ...custodian, epochKey: () => epochKey(plan) };
    return await answerRound(answering, plan, aggregate);
  } finally {
    await aggregate.close();
  }
}
