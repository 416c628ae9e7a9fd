/** A fleet to throw away: real keys for every role, and adapters as robots would have trained them. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { smolVlaConfig, smolVlaShapes, type TensorShape } from '../adapter/smolvla.js';
import { perturbAdapter, writeSyntheticAdapter } from '../adapter/synthetic.js';
import { effectivePolicy } from '../policy/effective.js';
import type { Policy } from '../policy/policy.js';
import { createFleet } from '../round/fleet.js';
import type { TrainedAdapters } from './deltas.js';

export const TRIAL_FLEET = 'trial';
export const TRIAL_POLICY = 'balanced';
const PARAMETER_SET = 'lwe-192';
const CUSTODIANS = 4;
const THRESHOLD = 3;
/** The preset's own, written down: the check of the sums is for plans that send every coordinate. */
const SETTINGS = { preset: TRIAL_POLICY, training: { bits: 8, keepRatio: 1 } } as const;

export interface TrialFleetOptions {
  /** New, or empty. */
  readonly directory: string;
  readonly robots: number;
  /** SmolVLA's LoRA unless told. */
  readonly shapes?: readonly TensorShape[] | undefined;
  readonly rank?: number | undefined;
}

export interface TrialRobot {
  readonly id: string;
  readonly clientDirectory: string;
  readonly adapterDirectory: string;
  readonly releaseDirectory: string;
}

export interface TrialFleet extends TrainedAdapters {
  readonly directory: string;
  readonly robots: readonly TrialRobot[];
  readonly custodians: readonly string[];
  readonly threshold: number;
  readonly policy: Policy;
  /** A delta that none of the robots sends: what the plan's clip is sized by. */
  readonly earlier: string;
}

export function roleDirectory(
  { directory }: Pick<TrialFleet, 'directory'>,
  role: 'owner' | 'coordinator' | 'aggregator',
): string {
  return join(directory, 'fleet', role);
}

export function averagesOf({ directory }: Pick<TrialFleet, 'directory'>): string {
  return join(directory, 'averages');
}

export async function createTrialFleet(options: TrialFleetOptions): Promise<TrialFleet> {
  const { directory, robots: count, shapes = smolVlaShapes(), rank } = options;
  const at = (...parts: string[]): string => join(directory, ...parts);
  const { policy } = effectivePolicy({
    preset: SETTINGS.preset,
    environment: {},
    overrides: { training: SETTINGS.training },
  });
  const { directories } = await createFleet({
    directory: at('fleet'),
    name: TRIAL_FLEET,
    clients: count,
    custodians: CUSTODIANS,
    threshold: THRESHOLD,
    parameterSet: PARAMETER_SET,
    quorumFloor: policy.encryption.quorum,
    maxUpdateBytes: policy.envelope.maxUpdateBytes,
    signatureAlgorithms: ['ed25519'],
    policyFile: { name: 'policy.json', text: `${JSON.stringify(SETTINGS, null, 2)}\n` },
    defaults: { parameterSet: PARAMETER_SET, preset: SETTINGS.preset },
  });
  await mkdir(at('adapters'));
  const base = at('adapters', 'base');
  const earlier = at('adapters', 'earlier');
  await writeSyntheticAdapter(base, { seed: 'trial base', shapes, config: smolVlaConfig(rank) });
  await perturbAdapter(base, earlier, { seed: 'trial earlier' });
  const below = (kind: string): string[] => directories.filter((each) => each.startsWith(at('fleet', kind)));
  const robots: TrialRobot[] = [];
  for (const [i, clientDirectory] of below('clients').entries()) {
    const adapterDirectory = at('adapters', `robot-${i + 1}`);
    await perturbAdapter(base, adapterDirectory, { seed: `trial robot ${i + 1}` });
    const id = clientDirectory.slice(at('fleet', 'clients').length + 1);
    robots.push({ id, clientDirectory, adapterDirectory, releaseDirectory: at('releases', id) });
  }
  return {
    ...{ directory, policy, base, earlier, robots, threshold: THRESHOLD },
    custodians: below('custodians'),
    trained: robots.map(({ adapterDirectory }) => adapterDirectory),
  };
}
