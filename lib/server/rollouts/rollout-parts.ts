/** What serves releases and rollouts, put together. */
import type { Store } from '../../store/store.js';
import type { ServerContext } from '../context.js';
import type { ServedFleet } from '../fleet/fleet.js';
import { DEFAULT_RELEASE_MODE, type ReleaseMode, ReleaseOffers } from '../releases/offers.js';
import { ReleaseBook } from '../releases/release-book.js';
import { VerdictBook } from '../verdicts/verdict-book.js';
import { impliedEvents } from './implied-events.js';
import { RolloutService, type RolloutServiceOptions } from './rollout-service.js';

export interface RolloutPartsOptions extends Pick<RolloutServiceOptions, 'onAlert' | 'onChange' | 'onError'> {
  readonly store: Store;
  readonly fleet: ServedFleet;
  readonly mode?: ReleaseMode | undefined;
}

export function rolloutParts(
  options: RolloutPartsOptions,
): Pick<ServerContext, 'releases' | 'verdicts' | 'rollouts' | 'offers'> {
  const { store, fleet, mode = DEFAULT_RELEASE_MODE, ...told } = options;
  const releases = new ReleaseBook(store);
  const verdicts = new VerdictBook(store.state);
  const sources = { verdicts, releases, roster: () => fleet.roster.body };
  const rollouts = new RolloutService({
    ...{ store, ...told },
    impliedEvents: (state, atMs) => impliedEvents(sources, state, atMs),
  });
  return { releases, verdicts, rollouts, offers: new ReleaseOffers(mode, releases, rollouts) };
}
