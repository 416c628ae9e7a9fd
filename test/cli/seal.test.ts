import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { smolVlaConfig } from '../../lib/adapter/smolvla.js';
import { writeSyntheticAdapter } from '../../lib/adapter/synthetic.js';
import { refuse, succeed } from './support/command.js';
import {
  adapterDirectory,
  CLIENTS,
  clientDirectory,
  copyOfSmallRound,
  RANK,
  SMALL_SHAPES,
  updateFile,
} from './support/small-round.js';
import { refuseUntouched, snapshot } from './support/snapshot.js';

/** It has sealed nothing yet. */
const FRESH = CLIENTS;

describe('seal', function () {
  this.timeout(60_000);

  let cwd = '';
  beforeEach(async () => {
    cwd = await copyOfSmallRound();
  });

  const seal = (adapter: string, client: number, ...more: string[]): string[] => [
    'seal',
    adapter,
    '--plan',
    'R.tgp',
    '--client',
    clientDirectory(client),
    ...more,
  ];

  it('prints with --dry-run what would be sent, writes nothing and claims nothing', async () => {
    const before = await snapshot(cwd);
    const { document, stderr } = await succeed(seal(adapterDirectory(FRESH), FRESH, '--dry-run'), { cwd });
    expect(stderr).to.equal('');
    expect(document).to.include({ written: null, values: 640, keepRatio: 1, epsilon: null });
    await succeed(seal(adapterDirectory(FRESH), FRESH, '--dry-run', '--out', 'U.tgu'), { cwd });
    expect(await snapshot(cwd)).to.deep.equal(before);
    // Had the dry run claimed its delta, the round would refuse this other one.
    const sealed = await succeed(seal(adapterDirectory(1), FRESH, '--out', 'U.tgu'), { cwd });
    expect(sealed.document).to.include({ written: 'U.tgu', replayed: false });
    expect(sealed.document['sizeBytes']).to.equal((await readFile(join(cwd, 'U.tgu'))).length);
  });

  it('gives the stored file, byte for byte, for the same delta under the same plan', async () => {
    const { document } = await succeed(seal(adapterDirectory(1), 1, '--out', 'again.tgu'), { cwd });
    expect(document['replayed']).to.equal(true);
    const [first, again] = await Promise.all(
      [updateFile(1), 'again.tgu'].map((name) => readFile(join(cwd, name))),
    );
    expect(again?.equals(first as Buffer)).to.equal(true);
  });

  it('refuses a second delta for the same round', async () => {
    await refuseUntouched(
      seal(adapterDirectory(2), 1, '--out', 'U.tgu'),
      { cwd },
      { exitCode: 1, code: 'client.round-already-sealed' },
    );
  });

  it('refuses an adapter of other shapes, naming the tensor', async () => {
    const shapes = SMALL_SHAPES.map(({ name, shape }) => ({
      name,
      shape: name.includes('lora_A') ? [RANK, 97] : shape,
    }));
    await writeSyntheticAdapter(join(cwd, 'wide'), { seed: 'wide', shapes, config: smolVlaConfig(RANK) });
    const message = await refuseUntouched(
      seal('wide', FRESH, '--out', 'U.tgu'),
      { cwd },
      { exitCode: 1, code: 'adapter.other-schema' },
    );
    expect(message).to.include('lora_A').and.include('[4, 97]').and.include('[4, 96]');
  });

  it('refuses an adapter of another scale, whose factors cannot be averaged', async () => {
    const config = { ...smolVlaConfig(RANK), lora_alpha: 64 };
    await writeSyntheticAdapter(join(cwd, 'strong'), { seed: 'strong', shapes: SMALL_SHAPES, config });
    const message = await refuseUntouched(
      seal('strong', FRESH, '--out', 'U.tgu'),
      { cwd },
      { exitCode: 1, code: 'adapter.other-config' },
    );
    expect(message).to.include('lora_alpha');
  });

  it('refuses the directory of another role, and a plan that is none', async () => {
    await refuseUntouched(
      ['seal', adapterDirectory(1), '--plan', 'R.tgp', '--client', 'fleet/owner', '--out', 'U.tgu'],
      { cwd },
      { exitCode: 1, code: 'key.wrong-role' },
    );
    await refuseUntouched(
      ['seal', adapterDirectory(1), '--plan', 'A.tga', '--client', clientDirectory(FRESH), '--out', 'U.tgu'],
      { cwd },
      { exitCode: 1, code: 'container.wrong-kind' },
    );
  });

  it('takes neither --out nor --dry-run for a usage error', async () => {
    await refuseUntouched(seal(adapterDirectory(FRESH), FRESH), { cwd }, { exitCode: 2, code: 'usage.out' });
  });

  it('seals a delta for a later round only with a close record that does not list it', async () => {
    const plan = (round: number): string[] => [
      ...['plan', '--fleet', 'fleet', '--like', 'adapters/start'],
      ...['--round', String(round), '--out', `R${round}.tgp`],
    ];
    const sealFor = (round: number, client: number, ...more: string[]): string[] => [
      ...['seal', adapterDirectory(client), '--plan', `R${round}.tgp`, '--client', clientDirectory(client)],
      ...more,
    ];
    const consumed = { exitCode: 1, code: 'client.delta-consumed' } as const;
    await succeed(plan(2), { cwd });
    await succeed(plan(3), { cwd });
    // Its first round was opened with this delta: for ever.
    const listed = sealFor(2, 1, '--close', 'R.tgc');
    await refuseUntouched(sealFor(2, 1, '--out', 'U.tgu'), { cwd }, consumed);
    const beforeListed = await snapshot(cwd);
    await succeed([...listed, '--dry-run'], { cwd });
    expect(await snapshot(cwd), 'a dry run records no close').to.deep.equal(beforeListed);
    await refuse([...listed, '--out', 'U.tgu'], { cwd }, consumed);

    await succeed(sealFor(2, FRESH, '--out', 'U2.tgu'), { cwd });
    await refuseUntouched(sealFor(3, FRESH, '--out', 'U3.tgu'), { cwd }, consumed);
    const close = [
      'close',
      '--plan',
      'R2.tgp',
      '--owner',
      'fleet/owner',
      '--reason',
      'too few',
      '--out',
      'R2.tgc',
    ];
    expect((await succeed(close, { cwd })).document).to.deep.include({ opened: [], reason: 'too few' });
    const { document } = await succeed(sealFor(3, FRESH, '--close', 'R2.tgc', '--out', 'U3.tgu'), { cwd });
    expect(document['replayed']).to.equal(false);
  });
});
