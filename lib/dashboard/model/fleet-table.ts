/** The fleet's clients as rows: found, sorted and a page at a time, whatever their number. */
import type { ClientView } from './reported.js';

export const SORT_KEYS = ['client', 'standing', 'health', 'lastSeen', 'release', 'policy'] as const;
export type SortKey = (typeof SORT_KEYS)[number];

export interface FleetQuery {
  /** Of an id, whatever its case. */
  readonly text: string;
  readonly sortBy: SortKey;
  readonly direction: 'ascending' | 'descending';
  /** From 0. */
  readonly page: number;
}

export interface FleetPage {
  readonly rows: readonly ClientView[];
  /** That match. */
  readonly found: number;
  readonly page: number;
  readonly pages: number;
}

/** As many rows as somebody reads, and as a browser lays out between two frames. */
export const ROWS_A_PAGE = 50;

export const FIRST_QUERY: FleetQuery = { text: '', sortBy: 'client', direction: 'ascending', page: 0 };

export function fleetPage(clients: readonly ClientView[], query: FleetQuery): FleetPage {
  const text = query.text.trim().toLowerCase();
  const found = clients.filter(({ client }) => client.toLowerCase().includes(text));
  const sorted = found.sort(byKey(query.sortBy, query.direction === 'ascending' ? 1 : -1));
  const pages = Math.max(1, Math.ceil(sorted.length / ROWS_A_PAGE));
  const page = Math.min(query.page, pages - 1);
  return {
    rows: sorted.slice(page * ROWS_A_PAGE, (page + 1) * ROWS_A_PAGE),
    ...{ found: sorted.length, page, pages },
  };
}

/** The column again turns the order round. */
export function sortedBy(query: FleetQuery, sortBy: SortKey): FleetQuery {
  const turned = query.sortBy === sortBy && query.direction === 'ascending';
  return { ...query, sortBy, direction: turned ? 'descending' : 'ascending', page: 0 };
}

type Value = string | number | undefined;

function byKey(key: SortKey, sign: 1 | -1): (a: ClientView, b: ClientView) => number {
  return (a, b) => {
    const [left, right] = [sortValueOf(a, key), sortValueOf(b, key)];
    if (left === right) return compare(a.client, b.client);
    // What is not known stands last, whichever way round.
    if (left === undefined) return 1;
    if (right === undefined) return -1;
    return sign * compare(left, right);
  };
}

function compare(left: string | number, right: string | number): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

function sortValueOf(client: ClientView, key: SortKey): Value {
  switch (key) {
    case 'client':
      return client.client;
    case 'standing':
      return client.standing;
    case 'health':
      return lowestScore(client);
    case 'lastSeen':
      return client.lastSeenMs;
    case 'release':
      return client.lastReport?.report.runs?.counter;
    case 'policy':
      return client.lastReport?.report.policy;
  }
}

/** Of the policies that a client was observed in, the one that it does worst in. */
export function lowestScore({ health }: ClientView): number | undefined {
  return health.length === 0 ? undefined : Math.min(...health.map(({ score }) => score));
}

export type HealthGrade = 'healthy' | 'unsteady' | 'failing' | 'left out' | 'not observed';

/** Where the service leaves clients out: below 0.2 (lib/round/health); from 0.7 on most of its rounds succeeded. */
const FAILING_BELOW = 0.4;
const HEALTHY_FROM = 0.7;

export function healthGrade(client: ClientView): HealthGrade {
  const score = lowestScore(client);
  if (client.health.some(({ suspended }) => suspended)) return 'left out';
  if (score === undefined) return 'not observed';
  if (score < FAILING_BELOW) return 'failing';
  return score < HEALTHY_FROM ? 'unsteady' : 'healthy';
}

export interface FleetSummary {
  readonly clients: number;
  readonly active: number;
  readonly grades: ReadonlyMap<HealthGrade, number>;
  /** Heard of within `RECENT_MS`. */
  readonly recent: number;
  readonly never: number;
  /** How many run each release, the newest first; only those that said so. */
  readonly releases: readonly { readonly counter: number; readonly clients: number }[];
  readonly reported: number;
}

export const RECENT_MS = 600_000;

export function fleetSummary(clients: readonly ClientView[], nowMs: number): FleetSummary {
  const grades = new Map<HealthGrade, number>();
  const releases = new Map<number, number>();
  let [active, recent, never, reported] = [0, 0, 0, 0];
  for (const client of clients) {
    const grade = healthGrade(client);
    grades.set(grade, (grades.get(grade) ?? 0) + 1);
    if (client.standing === 'active') active += 1;
    if (client.lastSeenMs === undefined) never += 1;
    else if (nowMs - client.lastSeenMs <= RECENT_MS) recent += 1;
    if (client.lastReport !== undefined) reported += 1;
    const counter = client.lastReport?.report.runs?.counter;
    if (counter !== undefined) releases.set(counter, (releases.get(counter) ?? 0) + 1);
  }
  return {
    ...{ clients: clients.length, active, grades, recent, never, reported },
    releases: [...releases]
      .sort(([a], [b]) => b - a)
      .map(([counter, running]) => ({ counter, clients: running })),
  };
}
