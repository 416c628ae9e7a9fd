/** What becomes of a rollout, as a record. */
import { RECORD_SCHEMA_VERSION } from '../../observability/record-fields.js';
import type { RecordOf } from '../../observability/records.js';
import type { RolloutState } from '../../rollout/state.js';

/** Where a rollout stands; between these, only reports come in. */
function standing({ phase, rollback }: RolloutState): string {
  return JSON.stringify([phase, rollback?.release?.counter]);
}

/** @returns undefined where nothing has changed that is worth a record */
export function rolloutRecord(
  before: RolloutState | undefined,
  after: RolloutState,
  atMs: number,
): RecordOf<'rollout'> | undefined {
  const { plan, phase, clients, rollback } = after;
  const { policy, release } = plan;
  const isSame = before?.plan.release.counter === release.counter && standing(before) === standing(after);
  if (isSame) return undefined;
  const reason = 'reason' in phase ? phase.reason : rollback?.cause;
  const enrolled = clients.filter((client) => client.enrolled);
  return {
    ...{ kind: 'rollout', schema: RECORD_SCHEMA_VERSION, id: `rollout.${policy}.${release.counter}` },
    ...{ atMs, policy, release, phase: phase.name },
    ...(reason !== undefined && { reason }),
    offered: enrolled.filter(({ offered }) => offered).length,
    clients: enrolled.length,
  };
}
