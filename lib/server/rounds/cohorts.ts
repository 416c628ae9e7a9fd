/** Which clients belong to a cohort. */
import { z } from 'zod';
import { idSchema, MAX_CLIENTS } from '../../package/messages/common.js';
import { lineageSchema } from '../../round/machine/settings.js';
import type { ServerContext } from '../context.js';
import { readJson } from '../state/json-state.js';
import { COHORT_PREFIX, keySegment } from '../state/keys.js';

export const cohortSchema = z.strictObject({
  clients: z.array(idSchema).min(2).max(MAX_CLIENTS),
  /** Of a half that a burnt round goes on as. */
  lineage: lineageSchema.optional(),
});
export type Cohort = z.infer<typeof cohortSchema>;

export function cohortKey(cohort: string): string {
  return `${COHORT_PREFIX}.${keySegment(cohort)}`;
}

/** A cohort as the owner set it up, without clients that are not active; all clients where it did not. */
export async function cohortOf(
  { store, fleet }: Pick<ServerContext, 'store' | 'fleet'>,
  cohort: string,
): Promise<Cohort> {
  const active = fleet.roster.body.clients.filter(({ status }) => status === 'active').map(({ id }) => id);
  const listed = await readJson(store.state, cohortSchema, cohortKey(cohort));
  if (listed === undefined) return { clients: active };
  const members = new Set(listed.value.clients);
  return { ...listed.value, clients: active.filter((client) => members.has(client)) };
}
