import { chmod, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import Database from 'libsql';
import { copyDatabase, foldLog } from '../../lib/durable/database-copy.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

/** A database with a log, open, made without statement objects, so that closing it closes it. */
async function opened(name = 'it is.sqlite') {
  const directory = await temporaryDirectory();
  const path = join(directory, name);
  await writeFile(path, '', { mode: 0o600 });
  const connection = new Database(path);
  connection.exec(
    'PRAGMA journal_mode = WAL; CREATE TABLE t (a INTEGER PRIMARY KEY); PRAGMA application_id = 77',
  );
  return { directory, path, connection };
}

function rows(path: string): unknown[] {
  const connection = new Database(path);
  return connection.prepare('SELECT a FROM t ORDER BY a').raw().all();
}

describe('a copy of a database', () => {
  it('has what is committed and still in the log, and not what is uncommitted', async () => {
    // The quote is a letter of the name, not an end of SQL.
    const { directory, path, connection } = await opened("owner's.sqlite");
    connection.exec('INSERT INTO t VALUES (1)');
    connection.exec('BEGIN; INSERT INTO t VALUES (2)');
    const copy = join(directory, "copy's.sqlite");
    await copyDatabase(path, copy);
    connection.exec('COMMIT');
    connection.close();
    expect(rows(copy)).to.deep.equal([[1]]);
    expect(rows(path)).to.deep.equal([[1], [2]]);
    expect((await stat(copy)).mode & 0o777).to.equal(0o600);
    expect(new Database(copy).prepare('PRAGMA application_id').raw().get()).to.deep.equal([77]);
  });

  it('is never written over a file, nor made of a link, of a file that others read, or of none', async () => {
    const { directory, path, connection } = await opened();
    const at = (name: string): string => join(directory, name);
    await writeFile(at('there'), 'mine', { mode: 0o600 });
    await expectRefusal('storage.failed', () => copyDatabase(path, at('there')));
    await expectRefusal('storage.missing', () => copyDatabase(at('none'), at('copy')));
    await symlink(path, at('link'));
    await expectRefusal('storage.symlink', () => copyDatabase(at('link'), at('copy')));
    await chmod(path, 0o644);
    await expectRefusal('storage.permissions', () => copyDatabase(path, at('copy')));
    connection.close();
    expect(await readdir(directory)).to.not.include('copy');
  });
});

describe('folding the log of a database', () => {
  it('leaves one file where nobody has it open, and is refused where somebody has', async () => {
    const { directory, path, connection } = await opened();
    connection.exec('INSERT INTO t VALUES (1)');
    expect(await foldLog(path)).to.equal(false);
    expect(await readdir(directory)).to.include('it is.sqlite-wal');
    connection.close();
    expect(await foldLog(path)).to.equal(true);
    expect(await readdir(directory)).to.deep.equal(['it is.sqlite']);
    expect(rows(path)).to.deep.equal([[1]]);
  });
});
