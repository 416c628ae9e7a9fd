/** How much of the robots' training touched each expert: what a mixture of experts weighs averages by. */
import type { ClientView } from './reported.js';

export interface ExpertWeights {
  readonly policy: string;
  /** In the order of their names. */
  readonly experts: readonly ExpertWeight[];
  readonly clients: readonly { readonly client: string; readonly shares: ReadonlyMap<string, number> }[];
}

export interface ExpertWeight {
  readonly expert: string;
  /** Clients that gave it a share above 0. */
  readonly clients: number;
  /** Of all shares that the policy's clients reported, from 0 to 1. */
  readonly part: number;
}

/** By policy; clients that reported no shares are left out. */
export function expertWeights(clients: readonly ClientView[]): ExpertWeights[] {
  const policies = new Map<string, { client: string; shares: Map<string, number> }[]>();
  for (const { client, lastReport } of clients) {
    const { experts, policy } = lastReport?.report ?? {};
    if (experts === undefined || policy === undefined || Object.keys(experts).length === 0) continue;
    const listed = policies.get(policy) ?? [];
    listed.push({ client, shares: new Map(Object.entries(experts)) });
    policies.set(policy, listed);
  }
  return [...policies]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([policy, listed]) => ({ policy, clients: listed, experts: weightsOf(listed) }));
}

function weightsOf(clients: readonly { readonly shares: ReadonlyMap<string, number> }[]): ExpertWeight[] {
  const names = [...new Set(clients.flatMap(({ shares }) => [...shares.keys()]))].sort();
  const sums = names.map((name) => clients.reduce((sum, { shares }) => sum + (shares.get(name) ?? 0), 0));
  const total = sums.reduce((sum, value) => sum + value, 0);
  return names.map((expert, i) => ({
    expert,
    clients: clients.filter(({ shares }) => (shares.get(expert) ?? 0) > 0).length,
    part: total === 0 ? 0 : (sums[i] ?? 0) / total,
  }));
}
