/** The gate before a release: the owner's verdict on an average, made once whatever is restarted. */
import { readFile } from 'node:fs/promises';
import { hex } from '../../custody/fields.js';
import { evaluateCandidate } from '../../evaluation/evaluate-candidate.js';
import type { Evaluator } from '../../evaluation/evaluators/evaluator.js';
import { VerdictRecords } from '../../evaluation/verdict-records.js';
import { adapterFingerprint } from '../../package/messages/release.js';
import type { VerdictOutcome, WaivableMetricName } from '../../package/messages/verdict.js';
import { policyFingerprints } from '../../policy/fingerprint.js';
import { openOwner } from '../../round/owner-directory.js';
import { measureAdapter, requireLoadable } from '../../round/release/adapter-files.js';
import type { RolePolicyOptions } from '../../round/role-policy.js';

export interface GateOptions {
  readonly evaluator: Evaluator;
  readonly evaluatorKind: 'command' | 'module' | 'function';
  /** Episodes of each adapter before the first look. */
  readonly firstEpisodes?: number | undefined;
  readonly firstSeed?: number | undefined;
  readonly waived?: readonly WaivableMetricName[] | undefined;
  /** What to evaluate against where there is no adapter that the fleet runs. */
  readonly baseline?: string | undefined;
}

export interface GateRequest {
  readonly ownerDirectory: string;
  readonly rolePolicy: RolePolicyOptions;
  readonly gate: GateOptions;
  readonly candidate: string;
  readonly baseline: string;
}

export interface KeptVerdict {
  /** 64 hexadecimal digits. */
  readonly fingerprint: string;
  readonly outcome: VerdictOutcome;
  readonly file: Uint8Array;
}

const DEFAULT_EPISODES = 100;

/** The verdict that the owner's records have on an adapter. */
export async function keptVerdict(
  ownerDirectory: string,
  roster: Parameters<VerdictRecords['verdictFor']>[1],
  candidate: Uint8Array,
): Promise<KeptVerdict | undefined> {
  const records = new VerdictRecords(ownerDirectory);
  const verdict = await records.verdictFor(candidate, roster);
  if (verdict === undefined) return undefined;
  const file = new Uint8Array(await readFile(records.path(candidate)));
  return { fingerprint: hex(verdict.fingerprint), outcome: verdict.body.outcome, file };
}

/**
 * The verdict on a candidate: the one that there is, or that of an evaluation now, which may take hours.
 *
 * @throws as `requireLoadable`, `evaluateCandidate`, `VerdictRecords.issue`
 */
export async function verdictOn(request: GateRequest): Promise<KeptVerdict> {
  const { ownerDirectory, rolePolicy, gate, candidate, baseline } = request;
  const { owner, role } = await openOwner(ownerDirectory, rolePolicy);
  try {
    const { peftTypes } = owner.policy.envelope;
    await requireLoadable(candidate, { peftTypes, readValues: true });
    const fingerprint = adapterFingerprint(await measureAdapter(candidate));
    const known = await keptVerdict(ownerDirectory, role.roster, fingerprint);
    if (known !== undefined) return known;
    const { safety } = owner.policy;
    const evaluation = await evaluateCandidate({
      ...{ candidate, baseline, safety, waived: gate.waived },
      ...{ evaluator: gate.evaluator, evaluatorKind: gate.evaluatorKind },
      firstEpisodes: gate.firstEpisodes ?? Math.min(DEFAULT_EPISODES, safety.maxEpisodes),
      firstSeed: gate.firstSeed ?? 0,
    });
    const issued = await new VerdictRecords(ownerDirectory).issue({
      ...{ signing: owner.signing, roster: role.roster, evaluation },
      safety: policyFingerprints(owner.policy).sections.safety,
    });
    return { fingerprint: hex(issued.fingerprint), outcome: issued.body.outcome, file: issued.file };
  } finally {
    role.close();
  }
}
