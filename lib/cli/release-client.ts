/** What commands about releases ask of a server, as a person with a token. */
import { z } from 'zod';
import { ApiRefusedError } from '../agents/http/api-errors.js';
import {
  type ReleaseHeader,
  type ReleaseList,
  releaseHeaderSchema,
  releaseListSchema,
} from '../server/releases/shown-releases.js';
import { type RolloutSummary, rolloutSummarySchema } from '../server/rollouts/rollout-status.js';
import { type VerdictFindings, verdictFindingsSchema } from '../server/verdicts/shown-findings.js';
import type { PersonClient } from './person-client.js';

const rolloutsSchema = z.object({ rollouts: z.array(rolloutSummarySchema) });

export type ListedRelease = ReleaseList['releases'][number] & { readonly rollout?: RolloutSummary };

export interface PublishedRelease {
  readonly header: ReleaseHeader;
  readonly findings?: VerdictFindings;
  readonly rollout?: RolloutSummary;
}

function ofPolicy(path: string, policy: string | undefined): string {
  return policy === undefined ? path : `${path}?policy=${encodeURIComponent(policy)}`;
}

/** A release's own rollout, or the one that it ends by going back. */
function rolloutOf(counter: number, rollouts: readonly RolloutSummary[]): RolloutSummary | undefined {
  return rollouts.find(
    ({ rollout, rollbackRelease }) => rollout === counter || rollbackRelease?.counter === counter,
  );
}

/** The newest first. */
export async function listedReleases(
  client: PersonClient,
  policy: string | undefined,
): Promise<ListedRelease[]> {
  const { releases } = await client.get(ofPolicy('/v1/releases', policy), releaseListSchema);
  const { rollouts } = await client.get(ofPolicy('/v1/rollouts', policy), rolloutsSchema);
  return releases.map((release) => {
    const rollout = rolloutOf(release.counter, rollouts);
    return { ...release, ...(rollout !== undefined && { rollout }) };
  });
}

/** @returns undefined where the server has no release of that counter */
export async function publishedRelease(
  client: PersonClient,
  counter: number,
): Promise<PublishedRelease | undefined> {
  const header = await headerOf(client, counter);
  if (header === undefined) return undefined;
  const { rollouts } = await client.get(ofPolicy('/v1/rollouts', header.policy), rolloutsSchema);
  const rollout = rolloutOf(counter, rollouts);
  const { verdict } = header;
  const findings =
    verdict && (await client.get(`/v1/verdicts/${verdict.fingerprint}/findings`, verdictFindingsSchema));
  return {
    header,
    ...(findings !== undefined && { findings }),
    ...(rollout !== undefined && { rollout }),
  };
}

async function headerOf(client: PersonClient, counter: number): Promise<ReleaseHeader | undefined> {
  try {
    return await client.get(`/v1/releases/${counter}/header`, releaseHeaderSchema);
  } catch (error) {
    if (error instanceof ApiRefusedError && error.code === 'request.not-found') return undefined;
    throw error;
  }
}
