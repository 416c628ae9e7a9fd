/**
 * Refusals on the audit trail. Who may send files chooses how many are refused, and each entry stays for ever: of one code a
 * few an hour are recorded, the last of them saying that more may follow. A flood then costs nothing more, not even the
 * unwrapping of the key that signs.
 */
import { z } from 'zod';
import type { AuditDetail } from './audit-entry.js';
import type { KeyVault } from './key-vault.js';

export const REFUSALS_A_WINDOW = 8;
export const REFUSAL_WINDOW_MS = 3_600_000;
/** Those before are of other windows, or of a trail that grows by other acts as fast. */
const ENTRIES_LOOKED_AT = 4096;

const countRow = z.object({ count: z.int() });

function recentRefusals({ database, trail }: KeyVault, code: string, nowMs: number): number {
  const row = database.get(
    countRow,
    // Not from the future either: a clock that was wrong once would silence the trail until then.
    `SELECT count(*) AS count FROM audit_entry WHERE sequence > ? AND kind = 'refuse'
     AND time_ms BETWEEN ? AND ? AND CASE WHEN json_valid(detail) THEN json_extract(detail, '$.code') END = ?`,
    [trail.head().sequence - ENTRIES_LOOKED_AT, nowMs - REFUSAL_WINDOW_MS, nowMs + REFUSAL_WINDOW_MS, code],
  );
  return row?.count ?? 0;
}

/** Records a refusal, on the disk when this returns, unless {@link REFUSALS_A_WINDOW} of its code are there already. */
export async function recordRefusal(
  vault: KeyVault,
  detail: AuditDetail & { readonly code: string },
  key: string | undefined,
): Promise<void> {
  const nowMs = Date.now();
  const before = recentRefusals(vault, detail.code, nowMs);
  if (before >= REFUSALS_A_WINDOW) return;
  const last = before === REFUSALS_A_WINDOW - 1;
  await vault.commit([
    {
      kind: 'refuse',
      key,
      detail: { ...detail, ...(last && { unrecordedUntilMs: nowMs + REFUSAL_WINDOW_MS }) },
    },
  ]);
}
