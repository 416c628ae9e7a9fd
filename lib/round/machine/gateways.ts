/** Partial sums that arrive: a gateway's updates come all at once, and leave all at once. */
import { RefusedError } from '../../errors.js';
import type { EventOf } from './events.js';
import { requireReceiving, requireSendable, sealOffIfComplete, sentUpdate } from './receiving.js';
import { type Member, type RoundState, type SentUpdate, sentUpdates } from './state.js';

type PartialSum = EventOf<'partial-sum-received'>;

/**
 * Takes a partial sum, once; until its gateway replaces it with one that has the same updates, and more. What is in a sum
 * cannot be taken out of it, so a contributor whose update the round has by another way refuses the whole.
 *
 * @throws RefusedError `round.client-not-eligible`, `round.contributor-sent`, `round.partial-sum-smaller`,
 *   `round.second-update`, `round.not-open`, `round.ended`, `round.full`, `round.late`, `round.too-stale`,
 *   `round.fingerprint-taken`, `round.reserve-not-yet`
 */
export function receivePartialSum(state: RoundState, event: PartialSum): RoundState {
  const { gateway, fingerprint, contributors, atMs } = event;
  const earlier = state.members.flatMap(({ update }) => (update?.via?.gateway === gateway ? [update] : []));
  if (earlier.some(({ via }) => via?.partialSum === fingerprint)) return state;
  requireReceiving(state, atMs);
  requireLarger(state, event, earlier);
  const via = { gateway, partialSum: fingerprint };
  const members = [...state.members];
  for (const contributor of contributors) {
    const received = { ...contributor, atMs };
    const index = requireSendable(state, received);
    const member = members[index] as Member;
    requireNoOtherWay(member, gateway);
    members[index] = { ...member, update: { ...(member.update ?? sentUpdate(received)), via } };
  }
  const changed: RoundState = { ...state, members };
  const { maxClients } = state.settings;
  if (sentUpdates(changed).length > maxClients) {
    throw new RefusedError(
      'round.full',
      `With this partial sum the round would have ${sentUpdates(changed).length} updates; it can hold ${maxClients}. Sum fewer.`,
    );
  }
  return sealOffIfComplete(changed, atMs);
}

/** One with as many would let two take turns for ever, and a robot's update disappear without a word. */
function requireLarger(state: RoundState, event: PartialSum, earlier: readonly SentUpdate[]): void {
  if (earlier.length === 0) return;
  if (state.settings.secondUpdate === 'refuse') {
    throw new RefusedError(
      'round.second-update',
      `The round has a partial sum of gateway "${event.gateway}", and takes one. Keep the rest for the next round.`,
    );
  }
  const updates = new Set(event.contributors.map(({ fingerprint }) => fingerprint));
  const holdsAll = earlier.every(({ fingerprint }) => updates.has(fingerprint));
  if (holdsAll && updates.size > earlier.length) return;
  throw new RefusedError(
    'round.partial-sum-smaller',
    `The round has a partial sum of gateway "${event.gateway}" with ${earlier.length} updates; another one must hold all of ` +
      'these, and more.',
  );
}

function requireNoOtherWay({ client, update }: Member, gateway: string): void {
  if (update === undefined || update.via?.gateway === gateway) return;
  const way = update.via === undefined ? 'directly' : `through gateway "${update.via.gateway}"`;
  throw new RefusedError(
    'round.contributor-sent',
    `The round has an update of "${client}", which came ${way}. Sum again without that client.`,
  );
}
