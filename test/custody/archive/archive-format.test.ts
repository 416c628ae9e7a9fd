import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { extractArchive } from '../../../lib/custody/archive/archive-extraction.js';
import { type ArchiveFile, readArchive, writeArchive } from '../../../lib/custody/archive/archive-format.js';
import {
  deriveArchiveKey,
  HEADER_BYTES,
  newHeader,
  readArchivePassphrase,
} from '../../../lib/custody/archive/archive-header.js';
import { SEGMENT_BYTES, SegmentWriter } from '../../../lib/custody/archive/archive-segments.js';
import { SecretBytes } from '../../../lib/custody/secret-bytes.js';
import { TensorGuardError } from '../../../lib/errors.js';
import { writeFileAtomically } from '../../../lib/files.js';
import { encodeCbor } from '../../../lib/package/cbor-encoding.js';
import { expectRefusal } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

const CHEAP = { scryptLog2N: 10 };

function passphrase(text = 'correct horse battery'): SecretBytes {
  return new SecretBytes(new TextEncoder().encode(text));
}

function fileOf(path: string, content: Uint8Array | string, mode: 0o600 | 0o644 = 0o600): ArchiveFile {
  return { path, mode, content: typeof content === 'string' ? Buffer.from(content) : content };
}

async function archiveOf(files: readonly ArchiveFile[]): Promise<string> {
  const path = join(await temporaryDirectory(), 'archive.tgx');
  await writeArchive(path, passphrase(), files, CHEAP);
  return path;
}

async function contentsOf(path: string): Promise<Map<string, Buffer>> {
  const contents = new Map<string, Buffer>();
  await readArchive(path, passphrase(), async ({ path: name }, content) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of content) chunks.push(Uint8Array.from(chunk));
    contents.set(name, Buffer.concat(chunks));
  });
  return contents;
}

/** An archive whose plaintext is ours to choose: what somebody who knows the passphrase could make. */
async function craftedArchive(...parts: readonly Uint8Array[]): Promise<string> {
  const path = join(await temporaryDirectory(), 'crafted.tgx');
  const header = newHeader(10);
  const key = await deriveArchiveKey(passphrase(), header);
  await writeFileAtomically(path, async (file) => {
    await file.writeFile(header.bytes);
    const segments = new SegmentWriter(file, header, key);
    for (const part of parts) await segments.push(part);
    await segments.finish();
  });
  return path;
}

function framed(type: number, header: Uint8Array, claimedLength = header.length): Uint8Array {
  const frame = Buffer.alloc(5);
  frame.writeUInt8(type, 0);
  frame.writeUInt32BE(claimedLength, 1);
  return Buffer.concat([frame, header]);
}

function record(path: string, size = 0, mode = 0o600): Uint8Array {
  return framed(1, encodeCbor({ path, mode, size }));
}

const EMPTY_MANIFEST = framed(2, encodeCbor([]));

/** Extracts into a new directory. */
async function extracted(archive: string, isExpected: (path: string) => boolean = () => true) {
  const directory = await temporaryDirectory();
  return { directory, paths: () => extractArchive(archive, passphrase(), directory, isExpected) };
}

describe('the archive format', () => {
  it('gives back paths, modes and bytes, across segments as well', async () => {
    const large = Buffer.alloc(2 * SEGMENT_BYTES + 12345, 'pattern');
    const archive = await archiveOf([
      fileOf('keystore.sqlite', 'store'),
      fileOf('rosters/1.tgo', large, 0o644),
      fileOf('empty', ''),
    ]);
    expect((await stat(archive)).mode & 0o777).to.equal(0o600);
    const { directory, paths } = await extracted(archive);
    expect(await paths()).to.deep.equal(['keystore.sqlite', 'rosters/1.tgo', 'empty']);
    expect(await readFile(join(directory, 'keystore.sqlite'), 'utf8')).to.equal('store');
    expect((await readFile(join(directory, 'rosters/1.tgo'))).equals(large)).to.equal(true);
    expect((await stat(join(directory, 'keystore.sqlite'))).mode & 0o777).to.equal(0o600);
    expect((await stat(join(directory, 'rosters'))).mode & 0o077).to.equal(0);
    expect((await readFile(archive)).includes('keystore')).to.equal(false);
  });

  it('holds what ends exactly at the end of a segment', async () => {
    for (const sizeBytes of [SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1]) {
      const content = Buffer.alloc(sizeBytes, 7);
      const contents = await contentsOf(await archiveOf([fileOf('a', content), fileOf('b', content)]));
      expect([...contents.values()].every((read) => read.equals(content))).to.equal(true);
      expect(contents.size).to.equal(2);
    }
    // The plaintext itself fills one segment, and then two.
    const overheadBytes = framed(1, encodeCbor({ path: 'a', mode: 0o600, size: SEGMENT_BYTES })).length;
    const manifestBytes = framed(2, encodeCbor([{ path: 'a', sha256: new Uint8Array(32) }])).length;
    const content = Buffer.alloc(SEGMENT_BYTES - overheadBytes - manifestBytes, 9);
    const archive = await archiveOf([fileOf('a', content)]);
    expect((await stat(archive)).size).to.equal(HEADER_BYTES + SEGMENT_BYTES + 16);
    expect((await contentsOf(archive)).get('a')?.equals(content)).to.equal(true);
  });

  it('salts every archive anew', async () => {
    const [first, second] = [await archiveOf([fileOf('a', 'x')]), await archiveOf([fileOf('a', 'x')])];
    const heads = await Promise.all([first, second].map(async (path) => readFile(path)));
    expect(
      heads[0]?.subarray(8, HEADER_BYTES).equals(heads[1]?.subarray(8, HEADER_BYTES) as Buffer),
    ).to.equal(false);
  });

  it('never overwrites an archive, and leaves nothing of one that fails', async () => {
    const archive = await archiveOf([fileOf('a', 'x')]);
    await expectRefusal('archive.exists', () => writeArchive(archive, passphrase(), [], CHEAP));
    const directory = await temporaryDirectory();
    await expectRefusal('archive.bad-path', () =>
      writeArchive(join(directory, 'b.tgx'), passphrase(), [fileOf('../a', 'x'), fileOf('a', 'x')], CHEAP),
    );
    expect(await readdir(directory)).to.deep.equal([]);
  });

  it('does not follow a link to a file of somewhere else', async () => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, 'elsewhere'), 'secret');
    await symlink(join(directory, 'elsewhere'), join(directory, 'link'));
    const files: ArchiveFile[] = [{ path: 'a', mode: 0o600, content: { file: join(directory, 'link') } }];
    let code: unknown;
    await writeArchive(join(directory, 'b.tgx'), passphrase(), files, CHEAP).catch((error) => {
      code = error.code;
    });
    expect(code).to.equal('ELOOP');
    expect(existsSync(join(directory, 'b.tgx'))).to.equal(false);
  });

  it('refuses another passphrase', async () => {
    const archive = await archiveOf([fileOf('a', 'x')]);
    await expectRefusal('archive.not-opened', () =>
      readArchive(archive, passphrase('incorrect horse'), async () => undefined),
    );
  });

  it('takes a passphrase of 12 bytes or more, from a private file only', async () => {
    const path = join(await temporaryDirectory(), 'passphrase');
    await writeFile(path, 'eleven byte\n', { mode: 0o600 });
    await expectRefusal('wrapper.secret-length', () => readArchivePassphrase(path));
    await writeFile(path, 'twelve bytes\n');
    expect((await readArchivePassphrase(path)).sizeBytes).to.equal(12);
    await chmod(path, 0o640);
    await expectRefusal('wrapper.file-permissions', () => readArchivePassphrase(path));
  });

  it('refuses every flipped bit and every truncation', async () => {
    const archive = await archiveOf([fileOf('a/b', 'some bytes'), fileOf('c', Buffer.alloc(300, 1))]);
    const bytes = await readFile(archive);
    const damaged = join(await temporaryDirectory(), 'damaged.tgx');
    const allowed = ['archive.not-opened', 'archive.malformed', 'archive.damaged'];
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.record({ at: fc.nat(bytes.length - 1), bit: fc.nat(7) }),
          fc.record({ cutTo: fc.nat(bytes.length - 1) }),
          fc.record({ appended: fc.uint8Array({ minLength: 1, maxLength: 40 }) }),
        ),
        async (change) => {
          const changed = Buffer.from(bytes);
          if ('at' in change) changed[change.at] = (changed[change.at] as number) ^ (1 << change.bit);
          const content =
            'cutTo' in change
              ? changed.subarray(0, change.cutTo)
              : Buffer.concat([changed, 'appended' in change ? change.appended : new Uint8Array()]);
          await writeFile(damaged, content);
          let visited = 0;
          const error = await readArchive(damaged, passphrase(), async () => {
            visited += 1;
          }).then(
            () => undefined,
            (failure: unknown) => failure,
          );
          expect(error).to.be.instanceOf(TensorGuardError);
          expect(allowed).to.include((error as TensorGuardError).code);
          expect(visited).to.equal(0);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('refuses segments that were exchanged, repeated, left out, or cut off between two', async () => {
    const archive = await archiveOf([fileOf('a', Buffer.alloc(3 * SEGMENT_BYTES, 5))]);
    const bytes = await readFile(archive);
    const sealed = SEGMENT_BYTES + 16;
    const header = bytes.subarray(0, HEADER_BYTES);
    const segment = (i: number) => bytes.subarray(HEADER_BYTES + i * sealed, HEADER_BYTES + (i + 1) * sealed);
    const all = [0, 1, 2, 3];
    expect(Buffer.concat([header, ...all.map(segment)]).equals(bytes)).to.equal(true);
    for (const order of [[0, 2, 1, 3], [0, 1, 1, 2, 3], [0, 1, 3], [0, 1, 2], [0]]) {
      const path = join(await temporaryDirectory(), 'reordered.tgx');
      await writeFile(path, Buffer.concat([header, ...order.map(segment)]));
      const code = order.length === 1 ? 'archive.not-opened' : 'archive.damaged';
      await expectRefusal(code, () => contentsOf(path));
    }
  });

  it('refuses scrypt parameters that would take too much memory, before deriving anything', async () => {
    const archive = await archiveOf([fileOf('a', 'x')]);
    const bytes = await readFile(archive);
    for (const [offset, value] of [
      [5, 19],
      [5, 9],
      [6, 255],
      [7, 2],
      [4, 2],
    ] as const) {
      const changed = Buffer.from(bytes);
      changed[offset] = value;
      await writeFile(archive, changed);
      await expectRefusal('archive.malformed', () => contentsOf(archive));
    }
  });

  for (const path of [
    '../outside',
    '/etc/passwd',
    'a/../../b',
    'a//b',
    './a',
    '.hidden',
    'a/.b',
    'a\\b',
    'C:a',
    'a\u0000b',
    'a\nb',
    '',
    'a/b/c/d/e',
    'x'.repeat(513),
  ]) {
    it(`refuses the path ${JSON.stringify(path.slice(0, 20))}`, async () => {
      const { directory, paths } = await extracted(await craftedArchive(record(path), EMPTY_MANIFEST));
      await expectRefusal('archive.bad-path', paths);
      expect(await readdir(directory)).to.deep.equal([]);
    });
  }

  it('refuses a path twice, a file that is a folder too, and files that nobody expects', async () => {
    for (const [first, second] of [
      ['a', 'a'],
      ['a', 'a/b'],
      ['a/b', 'a'],
    ] as const) {
      const archive = await craftedArchive(record(first), record(second), EMPTY_MANIFEST);
      await expectRefusal('archive.bad-path', () => contentsOf(archive));
    }
    const archive = await archiveOf([fileOf('known', 'x'), fileOf('unknown', 'x')]);
    const { directory, paths } = await extracted(archive, (path) => path === 'known');
    await expectRefusal('archive.bad-path', paths);
    expect(await readdir(directory)).to.deep.equal(['known']);
  });

  it('does not write into what is there already', async () => {
    const { directory, paths } = await extracted(await archiveOf([fileOf('rosters/1.tgo', 'x')]));
    await mkdir(join(directory, 'rosters'));
    await symlink('/tmp', join(directory, 'rosters', 'x'));
    let code: unknown;
    await paths().catch((error) => {
      code = error.code;
    });
    expect(code).to.equal('EEXIST');
  });

  it('refuses records of other kinds, lengths that cannot be, and other modes', async () => {
    const refused: Uint8Array[][] = [
      [framed(3, encodeCbor({})), EMPTY_MANIFEST],
      [framed(1, new Uint8Array(), 0xffff_ffff)],
      [framed(2, new Uint8Array(), 0xffff_ffff)],
      [record('a', 20), EMPTY_MANIFEST],
      [record('a', 0, 0o4755), EMPTY_MANIFEST],
      [record('a', 0, 0o120777), EMPTY_MANIFEST],
      [framed(1, encodeCbor({ path: 'a', mode: 0o600, size: 0, link: 'b' })), EMPTY_MANIFEST],
      [EMPTY_MANIFEST, Uint8Array.of(0)],
      [record('a')],
      [framed(2, encodeCbor([{ path: 'a' }]))],
    ];
    for (const parts of refused) {
      const archive = await craftedArchive(...parts);
      await expectRefusal('archive.malformed', () => contentsOf(archive));
    }
  });

  it('refuses files that are not those of the manifest', async () => {
    const listed = framed(2, encodeCbor([{ path: 'a', sha256: new Uint8Array(32) }]));
    for (const parts of [[record('a'), listed], [record('a'), EMPTY_MANIFEST], [listed]]) {
      const archive = await craftedArchive(...parts);
      await expectRefusal('archive.damaged', () => contentsOf(archive));
    }
  });
});
