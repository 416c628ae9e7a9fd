/** `fleet.json`: what `fleet init` decided, as defaults for later commands. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { EnvironmentError, FormatError } from '../errors.js';
import { PARAMETER_SET_NAMES } from '../lwe/parameters.js';
import { POLICY_PRESET_NAMES } from '../policy/presets.js';

const fleetFileSchema = z.strictObject({
  format: z.literal('tensorguard-native fleet'),
  version: z.literal(1),
  fleet: z.string(),
  parameterSet: z.enum(PARAMETER_SET_NAMES),
  preset: z.enum(POLICY_PRESET_NAMES),
});

export type FleetFile = z.infer<typeof fleetFileSchema>;

/** @throws EnvironmentError `fleet.not-a-fleet`; FormatError `fleet.malformed` */
export async function readFleetFile(directory: string): Promise<FleetFile> {
  const path = join(directory, 'fleet.json');
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new EnvironmentError(
      'fleet.not-a-fleet',
      `${directory} has no readable fleet.json. Make a fleet with: tensorguard-native fleet init ${directory} --clients N`,
      { cause },
    );
  }
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw new FormatError('fleet.malformed', `${path} is not JSON.`, { cause });
  }
  const parsed = fleetFileSchema.safeParse(document);
  if (!parsed.success) {
    throw new FormatError('fleet.malformed', `${path}: ${z.prettifyError(parsed.error)}`);
  }
  return parsed.data;
}
