/** What the simulated robots have trained: a base, and for each robot the base with a random delta of its own. */
import { join } from 'node:path';
import { perturbAdapter, writeSyntheticAdapter } from '../../lib/adapter/synthetic.js';
import type { TrainedAdapters } from '../../lib/trial/deltas.js';

export const ROBOTS = 8;

export interface SyntheticFleetData extends TrainedAdapters {
  /** A delta of an earlier round, which none of the robots sends: what the plan's clip bounds are sized by. */
  readonly earlier: string;
}

/** Writes the adapters below `directory`: SmolVLA's LoRA shapes, the same values in every run. */
export async function makeSyntheticFleetData(directory: string): Promise<SyntheticFleetData> {
  const base = join(directory, 'base');
  await writeSyntheticAdapter(base, { seed: 'demo base' });
  const perturbed = async (name: string): Promise<string> => {
    const path = join(directory, name);
    await perturbAdapter(base, path, { seed: `demo ${name}` });
    return path;
  };
  const trained: string[] = [];
  for (let robot = 1; robot <= ROBOTS; robot += 1) trained.push(await perturbed(`robot-${robot}`));
  return { base, earlier: await perturbed('earlier'), trained };
}
