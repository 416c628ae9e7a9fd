/** A round's settings, from its plan, the roster and what the operator configured. */
import type { TrustedPlan } from '../../custody/trusted-plan.js';
import { RefusedError } from '../../errors.js';
import { hex } from '../../package/messages/common.js';
import type { Policy } from '../../policy/policy.js';
import { MAX_ROUND_CLIENTS, type RoundSettings } from '../../round/machine/settings.js';

export interface RoundConfig {
  /** What becomes of a client's second, different update of a round. */
  readonly secondUpdate: 'replace' | 'refuse';
  /** How long a worker may be silent before another one sums. */
  readonly sumLeaseMs: number;
  readonly maxSumAttempts: number;
  /** How long custodians have; absent: until the owner closes the round. */
  readonly answerWindowMs?: number | undefined;
}

export const DEFAULT_ROUND_CONFIG: RoundConfig = {
  secondUpdate: 'replace',
  sumLeaseMs: 60_000,
  maxSumAttempts: 5,
};

export interface SettingsRequest {
  readonly plan: TrustedPlan;
  readonly policy: Policy;
  /** Of the plan's cohort, by descending priority; all active clients where no cohort is set up. */
  readonly eligible: readonly string[];
  readonly config: RoundConfig;
  readonly nowMs: number;
}

/** @throws RefusedError `round.deadline-passed`, `round.too-many-clients`, `round.too-few-clients` */
export function roundSettings({ plan, policy, eligible, config, nowMs }: SettingsRequest): RoundSettings {
  const { body, roster } = plan;
  const interval = policy.envelope.roundIntervalSeconds;
  const deadlineMs = body.deadline ?? nowMs + interval * 1000;
  if (deadlineMs <= nowMs) {
    throw new RefusedError(
      'round.deadline-passed',
      'The deadline of the plan has passed. Plan the round again.',
    );
  }
  if (eligible.length > MAX_ROUND_CLIENTS) {
    throw new RefusedError(
      'round.too-many-clients',
      `${eligible.length} clients may send, and a round takes ${MAX_ROUND_CLIENTS}. Divide them into cohorts.`,
    );
  }
  if (eligible.length < body.quorum) {
    throw new RefusedError(
      'round.too-few-clients',
      `${eligible.length} clients may send; the plan's quorum is ${body.quorum}.`,
    );
  }
  const { fleet, policy: name, cohort, round } = body;
  return {
    key: { fleet, policy: name, cohort, round },
    plan: hex(plan.fingerprint),
    opensAtMs: nowMs,
    deadlineMs,
    quorum: body.quorum,
    maxClients: Math.min(body.lwe.maxClients, MAX_ROUND_CLIENTS),
    threshold: body.threshold,
    custodians: roster.body.custodians.map(({ id }) => id),
    eligible: [...eligible],
    secondUpdate: config.secondUpdate,
    ...(body.staleness?.maxRounds !== undefined && { maxStalenessRounds: body.staleness.maxRounds }),
    roundIntervalSeconds: interval,
    sumLeaseMs: config.sumLeaseMs,
    maxSumAttempts: config.maxSumAttempts,
    ...(config.answerWindowMs !== undefined && { answerWindowMs: config.answerWindowMs }),
  };
}
