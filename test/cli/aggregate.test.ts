import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { succeed, tensorguard } from './support/command.js';
import {
  adapterDirectory,
  clientDirectory,
  clientId,
  copyOfSmallRound,
  SEALED,
  updateFile,
} from './support/small-round.js';
import { refuseAllUntouched, refuseUntouched } from './support/snapshot.js';

interface Refused {
  readonly source: string;
  readonly code: string;
  readonly message: string;
  readonly client?: string;
}

/** The quorum, to the one. */
const GOOD = [1, 2, 4];
const CORRUPT = 3;
const goodFiles = GOOD.map(updateFile);

const aggregate = (...sources: string[]): string[] => [
  ...['aggregate', ...sources, '--plan', 'R.tgp', '--aggregator', 'fleet/aggregator', '--out', 'B.tga'],
];

describe('aggregate', function () {
  this.timeout(60_000);

  let cwd = '';
  before(async () => {
    cwd = await copyOfSmallRound();
    const at = (name: string): string => join(cwd, name);
    const update = await readFile(at(updateFile(1)));
    // Of a client that is not in the sum already: there is no other reason to leave it out.
    const corrupt = await readFile(at(updateFile(CORRUPT)));
    corrupt.writeUInt8(corrupt.readUInt8(corrupt.length - 1) ^ 1, corrupt.length - 1);
    const forged = Buffer.from(update);
    const name = forged.indexOf(clientId(1));
    forged.write(clientId(2), name);

    await mkdir(at('bad'));
    await writeFile(at('bad/truncated.tgu'), update.subarray(0, update.length - 1000));
    await writeFile(at('bad/corrupt.tgu'), corrupt);
    await writeFile(at('bad/forged.tgu'), forged);
    await writeFile(at('bad/empty.tgu'), '');
    await writeFile(at('bad/notes.tgu'), 'These are not the bytes of an update.\n'.repeat(20));
    await copyFile(at('R.tgp'), at('bad/plan.tgu'));
    await succeed(
      ['plan', '--fleet', 'fleet', '--like', 'adapters/start', '--round', '2', '--out', 'R2.tgp'],
      { cwd },
    );
    const seal = ['seal', adapterDirectory(5), '--plan', 'R2.tgp', '--client', clientDirectory(5)];
    await succeed([...seal, '--out', 'bad/next-round.tgu'], { cwd });

    // What is not an update's name is not read: unfinished uploads, notes, other directories.
    await mkdir(at('mixed/deeper.d'), { recursive: true });
    await writeFile(at('mixed/.upload.tgu'), update.subarray(0, 100));
    await writeFile(at('mixed/README.md'), 'updates of round 1');
    for (const number of GOOD) await copyFile(at(updateFile(number)), at(`mixed/good-${number}.tgu`));
    await copyFile(at(updateFile(1)), at('mixed/again.tgu'));
  });

  it('leaves out what it must refuse, says why file by file and in the signed aggregate, and succeeds', async () => {
    const { document, stderr } = await succeed(aggregate('mixed', 'bad'), { cwd });
    expect(stderr).to.equal('');
    expect(document).to.include({ written: 'B.tga', accepted: GOOD.length });
    const refused = document['refused'] as Refused[];
    const reasons = Object.fromEntries(refused.map(({ source, code }) => [source, code]));
    const duplicate = refused.find(({ code }) => code === 'update.duplicate-client');
    expect(reasons).to.deep.equal({
      'truncated.tgu': 'container.truncated',
      'corrupt.tgu': 'container.digest-mismatch',
      'forged.tgu': 'container.wrong-signer',
      'empty.tgu': 'container.truncated',
      'notes.tgu': 'container.bad-magic',
      'plan.tgu': 'container.wrong-kind',
      'next-round.tgu': 'update.wrong-round',
      [duplicate?.source ?? 'again.tgu']: 'update.duplicate-client',
    });
    expect(duplicate?.source).to.be.oneOf(['again.tgu', 'good-1.tgu']);
    expect(duplicate?.client).to.equal(clientId(1));
    for (const { message } of refused) expect(message).to.match(/\S/);

    const inspected = await succeed(['inspect', 'B.tga', '--roster', 'fleet/roster.tgo'], { cwd });
    expect(inspected.document).to.include({ signaturesVerified: true, fingerprint: document['fingerprint'] });
    const body = inspected.document['body'] as { accepted: { client: string }[]; refused: Refused[] };
    expect(body.refused).to.deep.equal(refused);
    expect(body.accepted.map(({ client }) => client)).to.have.members(GOOD.map(clientId));
  });

  it('names what it left out for people, too', async () => {
    const { exitCode, stdout } = await tensorguard(aggregate(...goodFiles, 'bad/corrupt.tgu'), { cwd });
    expect(exitCode).to.equal(0);
    expect(stdout).to.match(
      /^Summed 3 updates into B\.tga, 1 refused:\n {2}corrupt\.tgu: container\.digest-mismatch: /,
    );
  });

  it('sums to the same ciphertext in whatever order the files come', async () => {
    const files = Array.from({ length: SEALED }, (_, i) => updateFile(i + 1));
    const sections = async (sources: string[]): Promise<Buffer> => {
      await succeed(aggregate(...sources), { cwd });
      const { document } = await succeed(['inspect', 'B.tga'], { cwd });
      const all = document['sections'] as { name: string; length: number }[];
      const total = all.reduce((sum, { length }) => sum + length, 0);
      return (await readFile(join(cwd, 'B.tga'))).subarray(-total);
    };
    const forwards = await sections(files);
    const backwards = await sections([...files].reverse());
    expect(backwards.equals(forwards)).to.equal(true);
  });

  it('fails at the first bad file with --strict, with that file’s own reason', async () => {
    await refuseUntouched(
      [...aggregate(...goodFiles, 'bad/corrupt.tgu').slice(0, -1), 'C.tga', '--strict'],
      { cwd },
      { exitCode: 1, code: 'container.digest-mismatch' },
    );
  });

  it('succeeds with --strict where every file is good', async () => {
    const { document } = await succeed([...aggregate('updates'), '--strict'], { cwd });
    expect(document).to.include({ accepted: SEALED });
  });

  it('refuses below the quorum, saying why each file does not count, and sources that are not there', async () => {
    const into = (...sources: string[]): string[] => [...aggregate(...sources).slice(0, -1), 'C.tga'];
    const two = goodFiles.slice(0, 2);
    const [below, , missing] = await refuseAllUntouched(
      [
        {
          what: 'two good files and a bad one',
          args: into(...two, 'bad/truncated.tgu'),
          exitCode: 1,
          code: 'aggregate.below-quorum',
        },
        {
          what: 'an empty directory',
          args: into('mixed/deeper.d'),
          exitCode: 1,
          code: 'aggregate.below-quorum',
        },
        {
          what: 'no such directory',
          args: into(...goodFiles, 'nowhere'),
          exitCode: 1,
          code: 'aggregate.no-such-source',
        },
      ],
      { cwd },
    );
    expect(below).to.include('2 updates of 3 files').and.include('quorum is 3').and.include('truncated.tgu');
    expect(missing).to.include('nowhere');
  });
});
