/** Whom the roster admits, as events of a rollout: found by comparison, so that no server has to have seen the change. */
import type { RosterBody } from '../../package/messages/roster.js';
import type { RolloutEvent } from '../../rollout/events.js';
import type { RolloutState } from '../../rollout/state.js';
import { MAX_ROLLOUT_CLIENTS } from './policy-rollouts.js';

/** @param recipients clients that the rollout's release was encrypted to */
export function rosterEvents(
  { clients }: RolloutState,
  roster: Pick<RosterBody, 'clients'>,
  recipients: ReadonlySet<string>,
  atMs: number,
): RolloutEvent[] {
  // A suspended client is refused like a revoked one, and nobody can wait for its confirmation either.
  const active = new Set(roster.clients.filter(({ status }) => status === 'active').map(({ id }) => id));
  const known = new Map(clients.map(({ id, enrolled }) => [id, enrolled]));
  const revoked = clients
    .filter(({ id, enrolled }) => enrolled && !active.has(id))
    .map(({ id }): RolloutEvent => ({ type: 'revoked', atMs, client: id }));
  const absent = [...active].filter((id) => known.get(id) !== true);
  // Beyond what a state can hold, new clients get the next release.
  const room = Math.max(0, MAX_ROLLOUT_CLIENTS - clients.length);
  const admitted = [
    ...absent.filter((id) => known.has(id)),
    ...absent.filter((id) => !known.has(id)).slice(0, room),
  ];
  const enrolled = admitted.map(
    (id): RolloutEvent => ({ type: 'enrolled', atMs, client: id, recipient: recipients.has(id) }),
  );
  return [...revoked, ...enrolled];
}
