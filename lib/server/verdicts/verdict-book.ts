/**
 * The owner's verdicts, as they are and by the adapter that they are on. A verdict that another one replaced stays, and is what
 * the next one has to name: nobody slips in a second first attempt.
 */
import { z } from 'zod';
import { RefusedError } from '../../errors.js';
import { hex } from '../../package/messages/common.js';
import { VERDICT_OUTCOMES, type VerdictBody } from '../../package/messages/verdict.js';
import { fingerprintSchema } from '../../package/release-reference.js';
import type { StateStore } from '../../store/store.js';
import type { StoredFile } from '../files/stored-file.js';
import { fileRecordSchema } from '../rounds/stored-round.js';
import { changeJson, createJson, listJson, readJson } from '../state/json-state.js';
import { CANDIDATE_PREFIX, VERDICT_PREFIX } from '../state/keys.js';

export const verdictRecordSchema = fileRecordSchema.extend({
  candidate: fingerprintSchema,
  baseline: fingerprintSchema,
  outcome: z.enum(VERDICT_OUTCOMES),
  attempt: z.int().min(1),
});
export type VerdictRecord = z.infer<typeof verdictRecordSchema>;

/** More attempts than anybody makes at one adapter: what is kept is bounded. */
const MAX_ATTEMPTS = 1024;

/** On one adapter, the first attempt first. */
const candidateSchema = z.strictObject({
  verdicts: z
    .array(
      z.strictObject({
        fingerprint: fingerprintSchema,
        outcome: z.enum(VERDICT_OUTCOMES),
        attempt: z.int().min(1),
      }),
    )
    .min(1)
    .max(MAX_ATTEMPTS),
});
export type CandidateVerdict = z.infer<typeof candidateSchema>['verdicts'][number];

export class VerdictBook {
  constructor(private readonly state: StateStore) {}

  async find(fingerprint: string): Promise<VerdictRecord | undefined> {
    return (await readJson(this.state, verdictRecordSchema, `${VERDICT_PREFIX}.${fingerprint}`))?.value;
  }

  /** The verdict on an adapter that holds now: of the last attempt. */
  async on(adapterFingerprint: string): Promise<CandidateVerdict | undefined> {
    return (await this.#attempts(adapterFingerprint)).at(-1);
  }

  /** The last ones first. */
  async list(): Promise<VerdictRecord[]> {
    const records: VerdictRecord[] = [];
    for await (const { value } of listJson(this.state, verdictRecordSchema, VERDICT_PREFIX))
      records.push(value);
    return records.sort((a, b) => b.atMs - a.atMs);
  }

  /**
   * Keeps a verdict. The same again changes nothing.
   *
   * @throws RefusedError `verdict.equivocation`, `verdict.other-attempt`
   */
  async keep(body: VerdictBody, fingerprint: string, file: StoredFile, atMs: number): Promise<VerdictRecord> {
    const candidate = hex(body.candidate);
    const { outcome, attempt } = body;
    const record: VerdictRecord = {
      ...{ fingerprint, file: [...file], atMs, candidate, outcome, attempt },
      baseline: hex(body.baseline),
    };
    requireNext(body, fingerprint, await this.#attempts(candidate));
    // First: what the other record names is there.
    await createJson(this.state, `${VERDICT_PREFIX}.${fingerprint}`, record);
    await changeJson(this.state, candidateSchema, candidateKey(candidate), (known) => {
      const verdicts = known?.verdicts ?? [];
      return requireNext(body, fingerprint, verdicts)
        ? { verdicts: [...verdicts, { fingerprint, outcome, attempt }] }
        : undefined;
    });
    return record;
  }

  async #attempts(candidate: string): Promise<readonly CandidateVerdict[]> {
    return (await readJson(this.state, candidateSchema, candidateKey(candidate)))?.value.verdicts ?? [];
  }
}

function candidateKey(adapterFingerprint: string): string {
  return `${CANDIDATE_PREFIX}.${adapterFingerprint}`;
}

/** @returns false where it is known already. @throws RefusedError `verdict.equivocation`, `verdict.other-attempt` */
function requireNext(
  { attempt, replaces }: VerdictBody,
  fingerprint: string,
  known: readonly CandidateVerdict[],
): boolean {
  if (known.some((each) => each.fingerprint === fingerprint)) return false;
  if (known.some((each) => each.attempt === attempt)) {
    throw new RefusedError(
      'verdict.equivocation',
      `Another verdict on this adapter is attempt ${attempt}. An adapter has one verdict; evaluate again with --replace, ` +
        'which says so.',
    );
  }
  const last = known.at(-1);
  // A service that lost its store takes the last attempt that the owner has.
  if (last === undefined) return true;
  if (attempt > last.attempt && replaces !== undefined && hex(replaces) === last.fingerprint) return true;
  throw new RefusedError(
    'verdict.other-attempt',
    `Attempt ${attempt} does not replace the verdict on this adapter that is here, which is attempt ${last.attempt}. Send the ` +
      'attempts in their order.',
  );
}
