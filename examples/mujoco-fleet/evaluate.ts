/**
 * Rollouts in the simulator, as `tensorguard-native evaluate` and the gate take them: the default export is an evaluator of
 * adapters in directories. The seed alone decides what an episode is.
 */
import { ADAPTER_ROLES, type AdapterRole, type Episode } from '../../lib/evaluation/episodes/episode.js';
import type { EvaluationRequest } from '../../lib/evaluation/evaluators/evaluator.js';
import { readLora } from './policy/adapter-files.js';
import { gaussianKl } from './policy/gaussian.js';
import { mergeLora } from './policy/lora.js';
import { forwardPass, type Network } from './policy/network.js';
import { readPolicy } from './policy/policy-file.js';
import { ACTION_DEVIATION } from './policy/pretrained.js';
import { ACTION_SIZE, Environment, OBSERVATION_SIZE, type Outcome } from './sim/environment.js';
import { byDay, type Site, trainingSites, unseenSites } from './sim/sites.js';

/** Where policies are tried. */
export interface Proving {
  readonly training: readonly Site[];
  readonly unseen: readonly Site[];
}

/** The owner's copies of sites in its simulator, where it is always day. */
export function ownersCopies({ training, unseen }: Proving): Proving {
  return { training: training.map(byDay), unseen: unseen.map(byDay) };
}

export const DEFAULT_ROBOTS = 8;
export const DEFAULT_UNSEEN = 16;

export interface Rollout extends Outcome {
  /** Mean over the states visited of KL(policy || reference), nats; absent without a reference. */
  readonly klDivergence?: number;
}

const DEVIATIONS = new Float32Array(ACTION_SIZE).fill(ACTION_DEVIATION);

/** Runs the policy's mean action from the episode's start to its end. */
export function rollOut(
  environment: Environment,
  policy: Network,
  seed: number,
  reference?: Network,
): Rollout {
  const act = forwardPass(policy);
  const actOtherwise = reference && forwardPass(reference);
  const observation = new Float32Array(OBSERVATION_SIZE);
  let divergence = 0;
  let states = 0;
  environment.reset(seed);
  while (!environment.done) {
    environment.observe(observation);
    const action = act(observation);
    if (actOtherwise !== undefined) {
      divergence += gaussianKl(action, DEVIATIONS, actOtherwise(observation), DEVIATIONS);
    }
    states += 1;
    environment.act(action);
  }
  return { ...environment.outcome(), ...(reference !== undefined && { klDivergence: divergence / states }) };
}

/** Sites' environments, compiled when they are first used. The caller closes them. */
export class ProvingGround {
  private readonly environments = new Map<string, Environment>();

  constructor(readonly sites: Proving) {}

  async at(site: Site): Promise<Environment> {
    const known = this.environments.get(site.name);
    if (known !== undefined) return known;
    const environment = await Environment.create(site);
    this.environments.set(site.name, environment);
    return environment;
  }

  /** Even seeds are episodes at the fleet's sites, odd ones at sites that nobody trained at; both take turns. */
  placeOf(seed: number): { readonly site: Site; readonly outOfDistribution: boolean } {
    const outOfDistribution = seed % 2 === 1;
    const sites = outOfDistribution ? this.sites.unseen : this.sites.training;
    return { site: sites[Math.floor(seed / 2) % sites.length] as Site, outOfDistribution };
  }

  close(): void {
    for (const environment of this.environments.values()) environment.close();
    this.environments.clear();
  }
}

/** An episode of one adapter: how far it acts from the reference is measured in the states that it visits itself. */
export async function evaluateEpisode(
  ground: ProvingGround,
  adapter: AdapterRole,
  policies: { readonly policy: Network; readonly reference: Network },
  seed: number,
): Promise<Episode> {
  const { site, outOfDistribution } = ground.placeOf(seed);
  const run = rollOut(await ground.at(site), policies.policy, seed, policies.reference);
  return {
    seed,
    adapter,
    success: run.placed,
    constraintViolations: run.constraintViolations,
    timeToCompleteSeconds: run.seconds,
    klDivergence: run.klDivergence as number,
    outOfDistribution,
  };
}

/** Both policies on every seed. */
export async function evaluatePolicies(
  ground: ProvingGround,
  policies: { readonly candidate: Network; readonly baseline: Network },
  seeds: readonly number[],
): Promise<Episode[]> {
  const episodes: Episode[] = [];
  for (const seed of seeds) {
    for (const adapter of ADAPTER_ROLES) {
      const pair = { policy: policies[adapter], reference: policies.baseline };
      episodes.push(await evaluateEpisode(ground, adapter, pair, seed));
    }
  }
  return episodes;
}

/** The policy that an adapter's directory stands for: its base with the adapter worked in. */
export async function policyOf(directory: string): Promise<Network> {
  const { lora, base } = await readLora(directory);
  return mergeLora(await readPolicy(base), lora);
}

export default async function evaluate(request: EvaluationRequest): Promise<Episode[]> {
  const sites = { training: trainingSites(DEFAULT_ROBOTS), unseen: unseenSites(DEFAULT_UNSEEN) };
  const ground = new ProvingGround(ownersCopies(sites));
  try {
    const policies = {
      candidate: await policyOf(request.candidate),
      baseline: await policyOf(request.baseline),
    };
    return await evaluatePolicies(ground, policies, request.seeds);
  } finally {
    ground.close();
  }
}
