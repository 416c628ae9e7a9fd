/** How well each robot did under each release that the whole fleet ran: what a new release is held against. */
import type { EpisodeCounts } from '../../../lib/observability/episode-counts.js';
import { rateBounds } from '../../../lib/rollout/statistics.js';

export interface Served {
  readonly episodes: number;
  readonly successes: number;
}

/** By client. */
export type FleetService = ReadonlyMap<string, Served>;

export function addService(service: Map<string, Served>, client: string, counts: EpisodeCounts): void {
  const known = service.get(client) ?? { episodes: 0, successes: 0 };
  service.set(client, {
    episodes: known.episodes + counts.episodes,
    successes: known.successes + counts.successes,
  });
}

/**
 * What these robots have shown to reach at least, under the best release that they ran. Not under the last one: releases that
 * are each a little worse would lead down a slope that no step looks steep on. Of the same robots: sites differ by more
 * than releases do.
 */
export function shownSuccessRate(
  past: readonly FleetService[],
  clients: readonly string[],
  confidence: number,
): number {
  const shown = past.map((service) => {
    const served = clients.map((client) => service.get(client) ?? { episodes: 0, successes: 0 });
    const successes = served.reduce((sum, each) => sum + each.successes, 0);
    const episodes = served.reduce((sum, each) => sum + each.episodes, 0);
    return rateBounds(successes, episodes, confidence).lower;
  });
  return Math.max(0, ...shown);
}
