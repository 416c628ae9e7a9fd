import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { smolVlaConfig } from '../../lib/adapter/smolvla.js';
import { writeSyntheticAdapter } from '../../lib/adapter/synthetic.js';
import { openContainer } from '../../lib/package/reader.js';
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
import { refuseAllUntouched, refuseUntouched, snapshot } from './support/snapshot.js';

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

  it('refuses what cannot be averaged with the others, and changes nothing', async () => {
    const shapes = SMALL_SHAPES.map(({ name, shape }) => ({
      name,
      shape: name.includes('lora_A') ? [RANK, 97] : shape,
    }));
    await writeSyntheticAdapter(join(cwd, 'wide'), { seed: 'wide', shapes, config: smolVlaConfig(RANK) });
    const config = { ...smolVlaConfig(RANK), lora_alpha: 64 };
    await writeSyntheticAdapter(join(cwd, 'strong'), { seed: 'strong', shapes: SMALL_SHAPES, config });
    const out = ['--out', 'U.tgu'];
    const sealWith = (plan: string, directory: string): string[] => [
      ...['seal', adapterDirectory(FRESH), '--plan', plan, '--client', directory, ...out],
    ];
    const cases = [
      ['a second delta', seal(adapterDirectory(2), 1, ...out), 'client.round-already-sealed'],
      ['other shapes', seal('wide', FRESH, ...out), 'adapter.other-schema'],
      ['another scale', seal('strong', FRESH, ...out), 'adapter.other-config'],
      ['another role', sealWith('R.tgp', 'fleet/owner'), 'key.wrong-role'],
      ['no plan', sealWith('A.tga', clientDirectory(FRESH)), 'container.wrong-kind'],
    ] as const;
    const messages = await refuseAllUntouched(
      [
        ...cases.map(([what, args, code]) => ({ what, args, exitCode: 1 as const, code })),
        { what: 'no output', args: seal(adapterDirectory(FRESH), FRESH), exitCode: 2, code: 'usage.out' },
      ],
      { cwd },
    );
    expect(messages[1]).to.include('lora_A').and.include('[4, 97]').and.include('[4, 96]');
    expect(messages[2]).to.include('lora_alpha');
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

  it('takes what an opened round lost into the next one, once it was given that round’s close record', async () => {
    const next = ['plan', '--fleet', 'fleet', '--like', 'adapters/start', '--round', '2', '--out', 'R2.tgp'];
    await succeed(next, { cwd });
    const sealNext = (adapter: number, client: number, ...more: string[]): string[] => [
      ...['seal', adapterDirectory(adapter), '--plan', 'R2.tgp', '--client', clientDirectory(client)],
      ...[...more, '--out', `next-${client}.tgu`],
    ];
    const first = await succeed(sealNext(FRESH, 1), { cwd });
    expect(first.document).to.include({ residualUsed: false, replayed: false });
    const second = await succeed(sealNext(FRESH, 2, '--close', 'R.tgc'), { cwd });
    expect(second.document).to.include({ residualUsed: true, replayed: false });
    const without = sealNext(FRESH, 3, '--close', 'R.tgc', '--set', 'training.errorFeedback=false');
    expect((await succeed(without, { cwd })).document).to.include({ residualUsed: false });
  });

  it('is stopped by a residual that is damaged, until it is told to go on without', async () => {
    const plan = await openContainer(join(cwd, 'R.tgp'), 'plan');
    await plan.close();
    const residual = join(cwd, clientDirectory(FRESH), 'residual');
    await mkdir(residual, { recursive: true, mode: 0o700 });
    await writeFile(join(residual, `${plan.body.policy}.residual`), 'damaged', { mode: 0o600 });
    const sealing = seal(adapterDirectory(FRESH), FRESH, '--out', 'U.tgu');
    const message = await refuse(sealing, { cwd }, { exitCode: 1, code: 'residual.corrupt' });
    expect(message).to.include('--reset-residual');
    const dry = seal(adapterDirectory(FRESH), FRESH, '--dry-run', '--reset-residual');
    await refuseUntouched(dry, { cwd }, { exitCode: 2, code: 'usage.reset-residual' });
    const { document, stderr } = await succeed([...sealing, '--reset-residual'], { cwd });
    expect(document).to.include({ residualUsed: false, replayed: false, written: 'U.tgu' });
    expect(stderr).to.match(/^Warning: what earlier rounds did not send is given up/);
    const aside = /renamed to (\S+);/.exec(stderr)?.[1] as string;
    expect(await readFile(aside, 'utf8')).to.equal('damaged');
  });
});
