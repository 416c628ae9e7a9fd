import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { openRole } from '../../lib/custody/role-directory.js';
import { createFleet, type FleetOptions } from '../../lib/round/fleet.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { pathsBelow } from './support/directories.js';

describe('a fleet on one machine', () => {
  let options: FleetOptions;

  before(async () => {
    options = {
      directory: join(await temporaryDirectory(), 'fleet'),
      name: 'acme',
      clients: 3,
      custodians: 2,
      threshold: 2,
      parameterSet: 'lwe-128',
      quorumFloor: 3,
      maxUpdateBytes: 1 << 20,
      signatureAlgorithms: ['ed25519', 'ml-dsa-65'],
      policyFile: { name: 'policy.json', text: '{"preset": "balanced"}\n' },
      defaults: { bits: 8 },
    };
    await createFleet(options);
  });

  it('gives every role a directory that opens as that role, under one roster', async () => {
    const { directory } = options;
    for (const [place, role, id] of [
      ['owner', 'owner', 'owner'],
      ['coordinator', 'coordinator', 'coordinator'],
      ['aggregator', 'aggregator', 'aggregator'],
      ['clients/client-03', 'client', 'client-03'],
      ['custodians/custodian-2', 'custodian', 'custodian-2'],
    ] as const) {
      const opened = await openRole(join(directory, place), role);
      const { signing, roster } = opened;
      opened.close();
      expect(opened.id).to.equal(id);
      expect(signing.algorithms).to.deep.equal(['ed25519', 'ml-dsa-65']);
      expect(roster.body).to.include({ fleet: 'acme', threshold: 2, quorumFloor: 3 });
    }
  });

  it('lists in the roster the keys that the directories hold', async () => {
    const { signing, roster, close } = await openRole(join(options.directory, 'clients/client-02'), 'client');
    close();
    const listed = roster.body.clients.find(({ id }) => id === 'client-02');
    expect(listed?.keys).to.deep.equal(signing.publicKeys);
    expect(roster.body.signatureAlgorithms).to.deep.equal(['ed25519', 'ml-dsa-65']);
  });

  it('lets nobody else read a key', async () => {
    const keys = (await pathsBelow(options.directory)).filter((path) => /\bkeys\/.+\.key$/.test(path));
    // A signing key each; a KEM key for clients, custodians and the owner; a PRF key for clients.
    expect(keys).to.have.length(8 + 6 + 3);
    for (const path of keys) expect((await stat(join(options.directory, path))).mode & 0o777).to.equal(0o600);
  });

  it('opens a directory for no other role than its own', async () => {
    await expectRefusal('key.wrong-role', () => openRole(join(options.directory, 'owner'), 'custodian'));
  });

  it('is not made over another, and leaves that one alone', async () => {
    const before = await pathsBelow(options.directory);
    await expectRefusal('fleet.directory-not-empty', () => createFleet(options));
    expect(await pathsBelow(options.directory)).to.deep.equal(before);
  });

  it('says in fleet.json what it is, beside the defaults that were asked for', async () => {
    const fleet: unknown = JSON.parse(await readFile(join(options.directory, 'fleet.json'), 'utf8'));
    expect(fleet).to.deep.equal({
      format: 'tensorguard-native fleet',
      version: 1,
      fleet: 'acme',
      bits: 8,
    });
  });

  it('opens a role no more once its roster was exchanged for another owner’s', async () => {
    const other = { ...options, directory: join(await temporaryDirectory(), 'other') };
    await mkdir(other.directory);
    await createFleet(other);
    const foreign = await readFile(join(other.directory, 'roster.tgo'));
    const client = join(options.directory, 'clients/client-01');
    await writeFile(join(client, 'roster.tgo'), foreign);
    await expectRefusal('roster.other-owner', () => openRole(client, 'client'));
  });
});
