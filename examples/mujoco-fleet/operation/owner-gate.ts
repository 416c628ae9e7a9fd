/** The owner's gate: a candidate against what the fleet runs, on the same seeds, and a signed verdict. */
import { hex } from '../../../lib/custody/fields.js';
import { evaluateCandidate } from '../../../lib/evaluation/evaluate-candidate.js';
import { VerdictRecords } from '../../../lib/evaluation/verdict-records.js';
import { policyFingerprints } from '../../../lib/index.js';
import type { VerdictMetric, VerdictOutcome } from '../../../lib/package/messages/verdict.js';
import { openOwner } from '../../../lib/round/owner-directory.js';
import { evaluatePolicies, type ProvingGround, policyOf } from '../evaluate.js';
import { ROLE_OPTIONS } from '../fleet/encrypted-fleet.js';
import { type Stage, safetyIn, showsFloors } from './safety-stages.js';

const FIRST_EPISODES = 100;
/** Every candidate meets episodes that no earlier one met, and that no curve is measured in. */
const FIRST_SEED = 1_000_000;
const SEEDS_A_ROUND = 10_000;

export interface GateRequest {
  readonly ownerDirectory: string;
  /** The owner's copies of sites, in the simulator. */
  readonly ground: ProvingGround;
  /** Directories. */
  readonly candidate: string;
  readonly baseline: string;
  readonly round: number;
  readonly stage: Stage;
  readonly firstEpisodes?: number | undefined;
}

export interface GateDecision {
  readonly stage: Stage;
  readonly outcome: VerdictOutcome;
  /** Of the candidate, 64 lower-case hexadecimal digits. */
  readonly adapterFingerprint: string;
  readonly metrics: readonly VerdictMetric[];
  readonly reasons: readonly string[];
  /** Of each adapter. */
  readonly episodes: number;
  /** Whether the candidate is good enough for the profile's floors to hold from now on. */
  readonly showsFloors: boolean;
}

/** Evaluates, signs, and keeps the verdict in the owner's records. */
export async function judgeCandidate(request: GateRequest): Promise<GateDecision> {
  const { ownerDirectory, ground, candidate, baseline, round, stage } = request;
  const { owner, role } = await openOwner(ownerDirectory, ROLE_OPTIONS);
  try {
    const policy = { ...owner.policy, safety: safetyIn(stage, owner.policy.safety) };
    const evaluation = await evaluateCandidate({
      candidate,
      baseline,
      safety: policy.safety,
      evaluator: async (asked) => {
        const policies = {
          candidate: await policyOf(asked.candidate),
          baseline: await policyOf(asked.baseline),
        };
        return evaluatePolicies(ground, policies, asked.seeds);
      },
      evaluatorKind: 'function',
      firstEpisodes: Math.min(request.firstEpisodes ?? FIRST_EPISODES, policy.safety.maxEpisodes),
      firstSeed: FIRST_SEED + round * SEEDS_A_ROUND,
    });
    const { body } = await new VerdictRecords(ownerDirectory).issue({
      signing: owner.signing,
      roster: role.roster,
      evaluation,
      safety: policyFingerprints(policy).sections.safety,
    });
    const { outcome, metrics, reasons, episodes } = body;
    return {
      stage,
      outcome,
      adapterFingerprint: hex(body.candidate),
      metrics,
      reasons,
      episodes,
      showsFloors: showsFloors(metrics, owner.policy.safety),
    };
  } finally {
    role.close();
  }
}
