import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { openKeyStore } from '../../lib/custody/role-directory.js';
import { openContainer } from '../../lib/package/reader.js';
import { writeContainer } from '../../lib/package/writer.js';
import { succeed, tensorguard } from './support/command.js';
import { copyOfSmallRound, SEALED, smallRound, updateFile } from './support/small-round.js';
import { refuseAllUntouched, refuseUntouched, snapshot } from './support/snapshot.js';

const ANSWERS = ['--answers', 'S1.tgs', 'S2.tgs', 'S3.tgs'];
const UPDATES = Array.from({ length: SEALED }, (_, i) => updateFile(i + 1));

const open = (aggregate: string, ...more: string[]): string[] => [
  ...['open', aggregate, '--plan', 'R.tgp', '--owner', 'fleet/owner', ...more],
];

/** A lying aggregator: one bit of the sum turned, everything signed again. */
async function shiftSum(cwd: string, out: string): Promise<void> {
  const store = await openKeyStore(join(cwd, 'fleet/aggregator'), 'aggregator');
  const signing = await store.signing();
  store.close();
  const aggregate = await openContainer(join(cwd, 'A.tga'), 'aggregate');
  const sections = await Promise.all(
    ['ciphertext', 'envelopes', 'shares'].map(async (name) => ({
      name,
      data: await aggregate.readSection(name),
    })),
  );
  const ciphertext = sections[0]?.data as Uint8Array;
  ciphertext[1] = (ciphertext[1] as number) ^ 0x40;
  await writeContainer(join(cwd, out), {
    kind: 'aggregate',
    body: aggregate.body,
    sections,
    signer: signing,
  });
  await aggregate.close();
}

describe('open', function () {
  this.timeout(60_000);

  let cwd = '';
  before(async () => {
    cwd = await copyOfSmallRound();
    await shiftSum(cwd, 'shifted.tga');
  });

  it('says what it opened, and that integrity was not checked', async () => {
    const { document } = (await smallRound()).ended['open'] as Awaited<ReturnType<typeof succeed>>;
    expect(document).to.deep.include({
      written: 'average',
      contributors: SEALED,
      answers: 3,
      disagreeing: [],
    });
    expect(document['verified']).to.equal(false);
    const { stdout } = await tensorguard(open('A.tga', ...ANSWERS, '--out', 'again'), { cwd });
    expect(stdout).to.include('Integrity against the aggregator was not checked');
  });

  it('recomputes the sum from the signed updates with --verify, and writes the same average', async () => {
    const { document } = await succeed(
      open('A.tga', ...ANSWERS, '--verify', ...UPDATES, '--out', 'verified'),
      {
        cwd,
      },
    );
    expect(document['verified']).to.equal(true);
    expect(await snapshot(join(cwd, 'verified'))).to.deep.equal(await snapshot(join(cwd, 'average')));
  });

  it('finds a sum that the aggregator shifted, with --verify', async () => {
    await refuseUntouched(
      open('shifted.tga', ...ANSWERS, '--verify', ...UPDATES, '--out', 'shifted'),
      { cwd },
      { exitCode: 1, code: 'open.sum-shifted' },
    );
  });

  it('refuses updates, answers and outputs that do not fit, and changes nothing', async () => {
    const bytes = await readFile(join(cwd, 'S1.tgs'));
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
    await writeFile(join(cwd, 'changed.tgs'), bytes);
    await mkdir(join(cwd, 'mine'));
    await writeFile(join(cwd, 'mine', 'thesis.tex'), 'years of work');
    const verify = (...updates: string[]): string[] =>
      open('A.tga', ...ANSWERS, '--verify', ...updates, '--out', 'X');
    const answers = (...files: string[]): string[] => open('A.tga', '--answers', ...files, '--out', 'X');
    const cases = [
      ['fewer updates', verify(...UPDATES.slice(1)), 'open.updates-missing'],
      ['one update twice', verify(...UPDATES, UPDATES[0] as string), 'open.update-not-in-set'],
      ['fewer answers than the threshold', answers('S1.tgs', 'S2.tgs'), 'open.too-few-answers'],
      ['the same answer thrice', answers('S1.tgs', 'S1.tgs', 'S1.tgs'), 'open.duplicate-answer'],
      ['a changed answer', answers('changed.tgs', 'S2.tgs', 'S3.tgs'), 'container.digest-mismatch'],
      [
        'no directory for an adapter',
        open('A.tga', ...ANSWERS, '--out', 'mine'),
        'adapter.directory-not-empty',
      ],
    ] as const;
    await refuseAllUntouched(
      [
        ...cases.map(([what, args, code]) => ({ what, args, exitCode: 1 as const, code })),
        { what: 'no answers', args: open('A.tga', '--out', 'X'), exitCode: 2, code: 'usage' },
      ],
      { cwd },
    );
  });
});

describe('close', function () {
  this.timeout(60_000);

  const close = (...more: string[]): string[] => [
    'close',
    ...more,
    '--plan',
    'R.tgp',
    '--owner',
    'fleet/owner',
  ];

  it('lists exactly the updates that were opened', async () => {
    const { ended, directory } = await smallRound();
    const { document } = await succeed(['inspect', 'A.tga'], { cwd: directory });
    const accepted = (document['body'] as { accepted: { update: string }[] }).accepted.map(
      ({ update }) => update,
    );
    expect(ended['close']?.document['opened']).to.have.members(accepted).and.to.have.length(SEALED);
  });

  it('gives the record of before, byte for byte, when asked again', async () => {
    const cwd = await copyOfSmallRound();
    await succeed([...close('A.tga'), '--out', 'again.tgc'], { cwd });
    const [first, again] = await Promise.all(['R.tgc', 'again.tgc'].map((name) => readFile(join(cwd, name))));
    expect(again?.equals(first as Buffer)).to.equal(true);
  });

  it('closes a round that nobody opened with none, which then cannot be opened any more', async () => {
    const cwd = await copyOfSmallRound();
    await rm(join(cwd, 'fleet/owner/rounds'), { recursive: true });
    const { document } = await succeed([...close(), '--reason', 'garbage', '--out', 'none.tgc'], { cwd });
    expect(document).to.deep.include({ opened: [], reason: 'garbage' });
    await refuseUntouched(
      open('A.tga', ...ANSWERS, '--out', 'X'),
      { cwd },
      { exitCode: 1, code: 'open.round-closed' },
    );
  });
});
