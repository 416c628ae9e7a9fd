import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { readFleetFile } from '../../lib/cli/fleet-file.js';
import { EnvironmentError, FormatError } from '../../lib/errors.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

const GOOD = {
  format: 'tensorguard-native fleet',
  version: 1,
  fleet: 'welding-robots',
  parameterSet: 'lwe-192',
  preset: 'balanced',
};

async function fleetWith(text: string): Promise<string> {
  const directory = await temporaryDirectory();
  await writeFile(join(directory, 'fleet.json'), text);
  return directory;
}

async function refusal(directory: string): Promise<unknown> {
  return readFleetFile(directory).then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe('fleet.json', () => {
  it('gives what fleet init decided', async () => {
    expect(await readFleetFile(await fleetWith(JSON.stringify(GOOD)))).to.deep.equal(GOOD);
  });

  it('says how to make a fleet where there is none', async () => {
    const directory = await temporaryDirectory();
    for (const missing of [directory, join(directory, 'nowhere')]) {
      const error = await refusal(missing);
      expect(error).to.be.instanceOf(EnvironmentError).with.property('code', 'fleet.not-a-fleet');
      expect((error as Error).message).to.include(`tensorguard-native fleet init ${missing}`);
    }
  });

  const bad: Record<string, string> = {
    'text that is not JSON': '{"format":',
    'an empty file': '',
    'a list': '[]',
    null: 'null',
    'another format': JSON.stringify({ ...GOOD, format: 'fleet' }),
    'a version to come': JSON.stringify({ ...GOOD, version: 2 }),
    'an unknown preset': JSON.stringify({ ...GOOD, preset: 'reckless' }),
    'an unknown parameter set': JSON.stringify({ ...GOOD, parameterSet: 'lwe-64' }),
    'a field too many': JSON.stringify({ ...GOOD, quorum: 1 }),
    'a field too few': JSON.stringify({ ...GOOD, fleet: undefined }),
  };
  for (const [what, text] of Object.entries(bad)) {
    it(`refuses ${what}, naming the file`, async () => {
      const directory = await fleetWith(text);
      const error = await refusal(directory);
      expect(error).to.be.instanceOf(FormatError).with.property('code', 'fleet.malformed');
      expect((error as Error).message).to.include(join(directory, 'fleet.json'));
    });
  }
});
