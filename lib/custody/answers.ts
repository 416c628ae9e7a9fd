/** Custodians' answers as the owner reads them: verified, opened, of one plan and one set. */
import { ParameterError, RefusedError, VerificationError } from '../errors.js';
import { parameterSet } from '../lwe/parameters.js';
import { openContainer } from '../package/reader.js';
import { answerInfo } from './bindings.js';
import { openSealed } from './hpke.js';
import { requireCustodian } from './roster.js';
import type { SecretBytes } from './secret-bytes.js';
import { unpackResidues } from './sharing.js';
import type { TrustedPlan } from './trusted-plan.js';

export interface OpenedAnswer {
  readonly custodian: string;
  readonly index: number;
  /** The sum of this custodian's shares: n residues. */
  readonly residues: Uint32Array;
  readonly ledgerHead: Uint8Array;
}

/**
 * Reads one answer: signed by a custodian of the roster, for this plan and this set, sealed to this owner.
 *
 * @throws RefusedError `answer.wrong-plan`, `answer.wrong-set`, `answer.wrong-field`, `roster.unknown-custodian`
 * @throws VerificationError `container.*`, `hpke.open-failed`, `answer.malformed`; the custodian is named
 */
export async function readAnswer(
  from: string | Uint8Array,
  plan: TrustedPlan,
  set: Uint8Array,
  ownerKem: SecretBytes,
): Promise<OpenedAnswer> {
  const container = await openContainer(from, 'answer');
  try {
    const { body } = container;
    const custodian = requireCustodian(plan.roster, body.custodian);
    await container.verify(custodian.keys, plan.roster.body.signatureAlgorithms);
    if (Buffer.compare(body.plan, plan.fingerprint) !== 0) {
      throw new RefusedError(
        'answer.wrong-plan',
        `The answer of "${body.custodian}" is for another plan (its round is ${body.round}). Use the answers of this round.`,
      );
    }
    if (Buffer.compare(body.set, set) !== 0) {
      throw new RefusedError(
        'answer.wrong-set',
        `The answer of "${body.custodian}" is for another set of updates than this aggregate's. Use the aggregate that ` +
          'the custodians answered for.',
      );
    }
    const { fleet, policy, cohort, round, keyEpoch } = plan.body;
    const same =
      body.fleet === fleet &&
      body.policy === policy &&
      body.cohort === cohort &&
      body.round === round &&
      body.epoch === keyEpoch &&
      body.index === custodian.index;
    if (!same) {
      throw new RefusedError(
        'answer.wrong-field',
        `The answer of "${body.custodian}" names another round, epoch or index than its plan and the roster.`,
      );
    }
    const info = answerInfo({
      fleet,
      policy,
      cohort,
      round,
      plan: plan.fingerprint,
      set,
      custodian: body.custodian,
      custodianIndex: custodian.index,
      keyEpoch,
      ownerKeyId: plan.roster.ownerKeyId,
    });
    const sealed = await container.readSection('sealed');
    const residues = await ownerKem
      .use((seed) => openSealed(seed, info, sealed))
      .then((packed) => unpackResidues(parameterSet(plan.body.parameterSet), packed))
      .catch((error: unknown) => {
        throw namingCustodian(body.custodian, error);
      });
    return { custodian: body.custodian, index: custodian.index, residues, ledgerHead: body.ledgerHead };
  } finally {
    await container.close();
  }
}

/** The signature held, so that what is inside is this custodian's doing: the owner has to know which answer to leave out. */
function namingCustodian(custodian: string, error: unknown): unknown {
  if (error instanceof VerificationError) {
    return new VerificationError(
      error.code,
      `The answer of "${custodian}" does not open: it was sealed to another key, or bound to another round, plan or ` +
        'set. Leave it out, and ask another custodian.',
    );
  }
  if (error instanceof ParameterError) {
    return new VerificationError(
      'answer.malformed',
      `The answer of "${custodian}" holds no sum of shares (${error.code}). Leave it out, and ask another custodian.`,
    );
  }
  return error;
}

/**
 * Refuses what cannot be interpolated.
 *
 * @throws RefusedError `open.too-few-answers`, `open.duplicate-answer`
 */
export function requireAnswers(answers: readonly OpenedAnswer[], threshold: number): void {
  const custodians = new Set(answers.map(({ custodian }) => custodian));
  if (custodians.size !== answers.length) {
    throw new RefusedError(
      'open.duplicate-answer',
      'Two answers are of the same custodian. Pass one of each.',
    );
  }
  if (answers.length < threshold) {
    throw new RefusedError(
      'open.too-few-answers',
      `${answers.length} custodians answered; the threshold is ${threshold}. Ask ${threshold - answers.length} more.`,
    );
  }
}
