import { existsSync } from 'node:fs';
import { readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { Command } from 'commander';
import { releaseCreateCommand } from '../../lib/cli/commands/release-create.js';
import { releaseOpenCommand } from '../../lib/cli/commands/release-open.js';
import type { Output } from '../../lib/cli/output.js';
import { generateKemKey } from '../../lib/custody/hpke.js';
import { createReleaseState } from '../../lib/custody/release/release-state.js';
import { createFleet } from '../../lib/round/fleet.js';
import { openOwner } from '../../lib/round/owner-directory.js';
import { createRelease } from '../../lib/round/release/create-release.js';
import { ReleaseRecords } from '../../lib/round/release/release-records.js';
import { writeAdapter } from '../round/support/adapters.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

const FILES = ['adapter_config.json', 'adapter_model.safetensors'];

interface Printed {
  readonly document: Readonly<Record<string, unknown>>;
  readonly lines: readonly string[];
}

describe('release create and release open', function () {
  this.timeout(60_000);
  let directory: string;
  let adapter: string;
  const at = (...parts: string[]): string => join(directory, ...parts);

  beforeEach(async () => {
    directory = join(await temporaryDirectory(), 'fleet');
    await createFleet({
      directory,
      name: 'acme',
      clients: 3,
      custodians: 3,
      threshold: 2,
      parameterSet: 'lwe-192',
      quorumFloor: 3,
      maxUpdateBytes: 5_000_000,
      signatureAlgorithms: ['ed25519'],
      policyFile: { name: 'policy.yaml', text: 'preset: balanced\n' },
      defaults: { parameterSet: 'lwe-192', preset: 'balanced' },
    });
    for (const client of ['client-01', 'client-02', 'client-03']) {
      if (existsSync(at('clients', client, 'releases.sqlite'))) continue;
      (await createReleaseState(at('clients', client))).close();
    }
    adapter = await writeAdapter(join(await temporaryDirectory(), 'released'), 'released');
  });

  async function run(build: typeof releaseCreateCommand, args: readonly string[]): Promise<Printed> {
    let printed: Printed | undefined;
    const output: Output = {
      result: (document, lines) => {
        printed = { document, lines };
      },
      warn: () => undefined,
      progress: () => undefined,
      say: () => undefined,
      done: () => undefined,
    };
    await build(new Command().exitOverride(), () => output).parseAsync([...args], { from: 'user' });
    return printed as Printed;
  }

  const create = (from: string, out: string, ...options: string[]): Promise<Printed> =>
    run(releaseCreateCommand, [from, '--owner', at('owner'), '--out', at(out), ...options]);
  const open = (file: string, client = 'client-01', ...options: string[]): Promise<Printed> =>
    run(releaseOpenCommand, [
      at(file),
      ...['--client', at('clients', client), '--out', at(`${client}-adapter`), ...options],
    ]);

  it('take an adapter from the owner to every client', async () => {
    const { document } = await create(adapter, 'R1.tgr', '--note', 'the first');
    expect(document).to.include({ written: at('R1.tgr'), policy: 'balanced', counter: 1 });
    expect(document['recipients']).to.deep.equal(['client-01', 'client-02', 'client-03']);
    for (const client of ['client-01', 'client-03']) {
      const opened = await open('R1.tgr', client);
      expect(opened.document).to.include({ counter: 1, again: false, note: 'the first' });
      for (const name of FILES) {
        const found = await readFile(at(`${client}-adapter`, name));
        expect(found.equals(await readFile(join(adapter, name))), name).to.equal(true);
      }
    }
    expect((await open('R1.tgr')).document).to.include({ again: true });
  });

  it('go back by an explicit rollback only', async () => {
    const other = await writeAdapter(join(await temporaryDirectory(), 'other'), 'other');
    await create(adapter, 'R1.tgr');
    await create(other, 'R2.tgr');
    await open('R1.tgr');
    await open('R2.tgr');
    await expectRefusal('release.older', () => open('R1.tgr'));
    const back = await create(adapter, 'R3.tgr', '--rollback-to', '1');
    expect(back.document['rollback']).to.have.property('to', 1);
    expect((await open('R3.tgr')).document).to.include({ counter: 3, rollbackTo: 1 });
    await expectRefusal('release.rolled-back', () => create(other, 'R4.tgr'));
    expect(existsSync(at('R4.tgr'))).to.equal(false);
  });

  it('keep policies apart, and ask for a name where none follows from the fleet', async () => {
    await create(adapter, 'R1.tgr', '--policy', 'pick');
    expect((await open('R1.tgr')).document).to.include({ policy: 'pick' });
    await create(adapter, 'R2.tgr');
    await expectRefusal('release.other-policy', () => open('R2.tgr'));
    await open('R2.tgr', 'client-01', '--policy', 'balanced');
    await rename(at('fleet.json'), at('fleet.json.away'));
    await expectRefusal('usage.policy', () => create(adapter, 'R3.tgr'));
  });

  it('need the enrolled key of every active client, and the key that it names', async () => {
    await create(adapter, 'R1.tgr');
    await rm(at('owner', 'enrolments'), { recursive: true });
    await expectRefusal('enrolment.missing', () => create(adapter, 'R2.tgr'));
    await expectRefusal('key.wrong-role', () =>
      run(releaseOpenCommand, [at('R1.tgr'), '--client', at('owner'), '--out', at('x')]),
    );
    const { owner, role } = await openOwner(at('owner'));
    try {
      await createRelease({
        signing: owner.signing,
        records: new ReleaseRecords(at('owner')),
        roster: role.roster,
        policy: 'balanced',
        adapter,
        recipients: [{ client: 'client-01', kem: (await generateKemKey()).publicKey }],
        out: at('R3.tgr'),
      });
    } finally {
      role.close();
    }
    await expectRefusal('release.unknown-key', () => open('R3.tgr'));
  });
});
