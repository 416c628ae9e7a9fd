/**
 * The owner's verdicts: `verdicts/FINGERPRINT.tgv` by the candidate's fingerprint, and `FINGERPRINT.ATTEMPT.tgv` for those
 * that a later attempt replaced.
 */
import { link } from 'node:fs/promises';
import { join } from 'node:path';
import { hex, sameBytes } from '../custody/fields.js';
import { requireOwnKey, requireSameFleet, type TrustedRoster } from '../custody/roster.js';
import { createPrivateDirectory } from '../durable/private-files.js';
import { EnvironmentError, RefusedError, VerificationError } from '../errors.js';
import { replaceFile } from '../files.js';
import type { VerdictBody } from '../package/messages/verdict.js';
import { openContainer } from '../package/reader.js';
import type { SigningKey } from '../package/signing-key.js';
import { containerBytes, encodeContainer } from '../package/writer.js';
import type { Evaluation } from './evaluate-candidate.js';

/** Verdicts are small: a reader of one need not believe that they are not. */
const MAX_VERDICT_BYTES = 1 << 20;

export interface TrustedVerdict {
  readonly body: VerdictBody;
  /** Of the verdict, 32 bytes. */
  readonly fingerprint: Uint8Array;
  /** By the owner's clock, milliseconds since 1970. */
  readonly createdMs: number;
}

export interface IssueOptions {
  readonly signing: SigningKey;
  readonly roster: TrustedRoster;
  readonly evaluation: Evaluation;
  /** Fingerprint of the policy's section `safety`, 32 bytes. */
  readonly safety: Uint8Array;
  /**
   * Whether an earlier verdict on the candidate may be replaced. Each attempt may pass by luck, so the new one says that it
   * is not the first.
   */
  readonly replace?: boolean | undefined;
  /** By the owner's clock; now, if absent. */
  readonly createdMs?: number;
}

export interface IssuedVerdict extends TrustedVerdict {
  /** The whole file. */
  readonly file: Uint8Array;
  /** Where the records keep it. */
  readonly kept: string;
}

export class VerdictRecords {
  readonly #verdicts: string;

  /** @param directory the owner's */
  constructor(directory: string) {
    this.#verdicts = join(directory, 'verdicts');
  }

  /** Where the verdict on a candidate is kept, if there is one. */
  path(candidate: Uint8Array): string {
    return join(this.#verdicts, `${hex(candidate)}.tgv`);
  }

  /**
   * The verdict on an adapter that holds now: verified as the owner's, of this fleet, and on this adapter.
   *
   * @param candidate fingerprint of the adapter, 32 bytes
   * @returns undefined where there is none
   * @throws VerificationError `container.*`, `verdict.wrong-candidate`; FormatError `container.*`, `roster.other-fleet`
   */
  async verdictFor(candidate: Uint8Array, roster: TrustedRoster): Promise<TrustedVerdict | undefined> {
    let container: Awaited<ReturnType<typeof openContainer<'verdict'>>>;
    try {
      container = await openContainer(this.path(candidate), 'verdict', { maxFileBytes: MAX_VERDICT_BYTES });
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
    try {
      const { body, fingerprint, header } = container;
      requireSameFleet(roster, body.fleet, 'verdict');
      await container.verify(roster.body.owner.keys, roster.body.signatureAlgorithms);
      if (!sameBytes(body.candidate, candidate)) {
        throw new VerificationError(
          'verdict.wrong-candidate',
          `${this.path(candidate)} is the verdict on adapter ${hex(body.candidate)}: files were renamed. Evaluate again.`,
        );
      }
      return { body, fingerprint, createdMs: header.created };
    } finally {
      await container.close();
    }
  }

  /**
   * Refuses a second verdict on a candidate unless it may be replaced; to ask before a long evaluation.
   *
   * @throws RefusedError `verdict.exists`; as {@link verdictFor}
   */
  async requireReplaceable(
    candidate: Uint8Array,
    { roster, replace }: Pick<IssueOptions, 'roster' | 'replace'>,
  ): Promise<TrustedVerdict | undefined> {
    const earlier = await this.verdictFor(candidate, roster);
    if (earlier !== undefined && replace !== true) throw exists(candidate, earlier.body);
    return earlier;
  }

  /**
   * Signs the verdict on an evaluation and keeps it. On the disk when this returns.
   *
   * @throws RefusedError `verdict.exists`, `roster.not-this-key`; as {@link verdictFor}
   */
  async issue(options: IssueOptions): Promise<IssuedVerdict> {
    const { signing, roster, evaluation } = options;
    requireOwnKey(roster.body.owner.keys, signing.publicKeys, 'the owner');
    const earlier = await this.requireReplaceable(evaluation.candidate, options);
    const container = await encodeContainer({
      kind: 'verdict',
      body: verdictBody(options, earlier),
      sections: [],
      signer: signing,
      ...(options.createdMs !== undefined && { created: options.createdMs }),
    });
    const file = containerBytes(container);
    const kept = this.path(evaluation.candidate);
    await createPrivateDirectory(this.#verdicts);
    if (earlier !== undefined) await this.#keepAside(kept, evaluation.candidate, earlier.body.attempt);
    try {
      await replaceFile(kept, file, { mode: 0o600, exclusive: earlier === undefined });
    } catch (error) {
      // Another evaluation of the same candidate was faster.
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw exists(evaluation.candidate);
      throw error;
    }
    const { body, fingerprint, header } = container.envelope;
    return { body, fingerprint, createdMs: header.created, file, kept };
  }

  /** The replaced verdict under a second name, before its first one is taken. */
  async #keepAside(kept: string, candidate: Uint8Array, attempt: number): Promise<void> {
    try {
      await link(kept, join(this.#verdicts, `${hex(candidate)}.${attempt}.tgv`));
    } catch (error) {
      // An earlier call came as far as this.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

function verdictBody(
  { roster, evaluation, safety }: IssueOptions,
  earlier: TrustedVerdict | undefined,
): VerdictBody {
  const { firstSeed } = evaluation;
  return {
    fleet: roster.body.fleet,
    candidate: evaluation.candidate,
    baseline: evaluation.baseline,
    safety,
    evaluator: evaluation.evaluator,
    confidence: evaluation.confidence,
    limitError: evaluation.limitError,
    looks: { ...evaluation.looks },
    episodes: evaluation.episodes,
    ...(firstSeed !== undefined && { firstSeed }),
    attempt: (earlier?.body.attempt ?? 0) + 1,
    ...(earlier !== undefined && { replaces: earlier.fingerprint }),
    outcome: evaluation.outcome,
    metrics: evaluation.metrics.map((metric) => ({ ...metric })),
    reasons: [...evaluation.reasons],
  };
}

function exists(candidate: Uint8Array, earlier?: VerdictBody): RefusedError {
  return new RefusedError(
    'verdict.exists',
    `There is a verdict on adapter ${hex(candidate)} already${earlier === undefined ? '' : ` (${earlier.outcome})`}. ` +
      'Evaluating until it passes would make the confidence void; to try again all the same, say so with --replace.',
  );
}

function isMissing(error: unknown): boolean {
  if (!(error instanceof EnvironmentError)) return false;
  return (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
}
