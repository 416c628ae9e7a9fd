import {
  chmod,
  copyFile,
  mkdir,
  open,
  readdir,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import Database from 'libsql';
import { z } from 'zod';
import type { DatabaseDescription } from '../../lib/durable/database-schema.js';
import { blobColumn, DurableDatabase } from '../../lib/durable/durable-database.js';
import { FormatError } from '../../lib/errors.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

const description: DatabaseDescription = {
  name: 'test file',
  applicationId: 77,
  schema: [
    'CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, data BLOB) STRICT',
    'CREATE TABLE part (item INTEGER NOT NULL REFERENCES item) STRICT',
  ],
  corrupt: (detail) => new FormatError('test.corrupt', detail),
  adviceIfMissing: 'Look for it.',
};
const item = z.object({ id: z.int(), name: z.string(), data: blobColumn.nullable() });

async function newPath(): Promise<string> {
  return join(await temporaryDirectory(), 'made', 'file.sqlite');
}

/** Opens, inserts `rows` items, closes. */
async function written(rows = 3): Promise<string> {
  const path = await newPath();
  const database = await DurableDatabase.create(path, description);
  database.transaction(() => {
    for (let id = 1; id <= rows; id += 1) {
      database.run('INSERT INTO item VALUES (?, ?, ?)', [id, `item ${id}`, new Uint8Array(500).fill(id)]);
    }
  });
  database.close();
  return path;
}

/** Changes the file behind the class's back. */
function tamper(path: string, ...statements: string[]): void {
  const connection = new Database(path);
  for (const statement of statements) connection.exec(statement);
  connection.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  connection.close();
}

function corruption(path: string): Promise<unknown> {
  return expectRefusal('test.corrupt', () => DurableDatabase.open(path, description));
}

describe('a durable database', () => {
  it('has mode 0600, log and index too, in a directory of mode 0700, whatever the umask', async () => {
    const path = await newPath();
    const before = process.umask(0);
    try {
      const database = await DurableDatabase.create(path, description);
      database.run("INSERT INTO item VALUES (1, 'one', NULL)");
      for (const file of await readdir(join(path, '..'))) {
        expect((await stat(join(path, '..', file))).mode & 0o777, file).to.equal(0o600);
      }
      expect(await readdir(join(path, '..'))).to.include('file.sqlite-wal');
      expect((await stat(join(path, '..'))).mode & 0o777).to.equal(0o700);
      database.close();
    } finally {
      process.umask(before);
    }
  });

  it('commits through a write-ahead log that is flushed at every commit', async () => {
    const database = await DurableDatabase.create(await newPath(), description);
    const pragma = (name: string) => database.all(z.record(z.string(), z.unknown()), `PRAGMA ${name}`)[0];
    expect(pragma('journal_mode')).to.include({ journal_mode: 'wal' });
    expect(pragma('synchronous')).to.include({ synchronous: 2 });
    expect(pragma('foreign_keys')).to.include({ foreign_keys: 1 });
    database.close();
  });

  it('gives back rows, blobs as bytes, one or many', async () => {
    const database = await DurableDatabase.create(await newPath(), description);
    const data = Uint8Array.of(0, 1, 0, 255);
    expect(database.run('INSERT INTO item VALUES (?, ?, ?)', [1, 'one', data])).to.equal(1);
    database.run('INSERT INTO item VALUES (?, ?, ?)', [2, 'two', null]);
    const byData = database.get(item, 'SELECT * FROM item WHERE data = ?', [data]);
    expect(byData).to.deep.equal({ id: 1, name: 'one', data });
    expect(byData?.data?.constructor).to.equal(Uint8Array);
    expect(database.all(item, 'SELECT * FROM item ORDER BY id')).to.deep.equal([
      { id: 1, name: 'one', data },
      { id: 2, name: 'two', data: null },
    ]);
    expect(database.get(item, 'SELECT * FROM item WHERE id = 3')).to.equal(undefined);
    database.close();
  });

  it('tells a forbidden duplicate from a failure', async () => {
    const database = await DurableDatabase.create(await newPath(), description);
    const insert = (id: number, name: string | null) =>
      database.runUnique('INSERT INTO item VALUES (?, ?, NULL)', [id, name]);
    expect(insert(1, 'one')).to.equal(true);
    expect(insert(2, 'one')).to.equal(false);
    expect(insert(1, 'two')).to.equal(false);
    await expectRefusal('storage.failed', () => insert(3, null));
    expect(database.all(item, 'SELECT * FROM item')).to.have.length(1);
    database.close();
  });

  it('keeps nothing of a transaction that fails, and works on', async () => {
    const database = await DurableDatabase.create(await newPath(), description);
    expect(() =>
      database.transaction(() => {
        database.run("INSERT INTO item VALUES (1, 'one', NULL)");
        throw new Error('stop');
      }),
    ).to.throw('stop');
    expect(database.all(item, 'SELECT * FROM item')).to.deep.equal([]);
    expect(database.transaction(() => database.run("INSERT INTO item VALUES (1, 'one', NULL)"))).to.equal(1);
    database.close();
  });

  it('keeps nothing of a transaction whose commit is refused', async () => {
    const database = await DurableDatabase.create(await newPath(), description);
    await expectRefusal('storage.failed', () =>
      database.transaction(() => {
        database.run("INSERT INTO item VALUES (1, 'one', NULL)");
        database.run('INSERT INTO part VALUES (9)');
      }),
    );
    expect(database.all(item, 'SELECT * FROM item')).to.deep.equal([]);
    database.close();
  });

  it('may be open twice, each seeing what the other commits', async () => {
    const path = await written(0);
    const [first, second] = await Promise.all([
      DurableDatabase.open(path, description),
      DurableDatabase.open(path, description),
    ]);
    first.run("INSERT INTO item VALUES (1, 'one', NULL)");
    second.run("INSERT INTO item VALUES (2, 'two', NULL)");
    expect(first.all(item, 'SELECT * FROM item')).to.have.length(2);
    first.close();
    expect(second.all(item, 'SELECT * FROM item')).to.have.length(2);
    second.close();
  });

  it('has everything that was committed in its main file once closed', async () => {
    const path = await written(3);
    const copy = join(await temporaryDirectory(), 'copy.sqlite');
    await copyFile(path, copy);
    const database = await DurableDatabase.open(copy, description);
    expect(database.all(item, 'SELECT * FROM item')).to.have.length(3);
    database.close();
  });

  it('is created once, and leaves nothing else beside it', async () => {
    const path = await written();
    const error = await expectRefusal('storage.exists', () => DurableDatabase.create(path, description));
    expect(error.message).to.contain(path);
    const names = await readdir(join(path, '..'));
    expect(names.every((name) => name.startsWith('file.sqlite'))).to.equal(true);
    const database = await DurableDatabase.open(path, description);
    expect(database.all(item, 'SELECT * FROM item')).to.have.length(3);
    database.close();
  });

  it('is created by one of many who try at once', async () => {
    const path = await newPath();
    const attempts = await Promise.allSettled(
      [1, 2, 3, 4].map(() => DurableDatabase.create(path, description)),
    );
    const created = attempts.flatMap((attempt) => (attempt.status === 'fulfilled' ? [attempt.value] : []));
    expect(created).to.have.length(1);
    created[0]?.close();
  });

  it('is not made up when it is missing, and the message says what then', async () => {
    const path = await newPath();
    const error = await expectRefusal('storage.missing', () => DurableDatabase.open(path, description));
    expect(error.message).to.contain(path).and.to.contain('Look for it.');
    await mkdir(join(path, '..'), { mode: 0o700 });
    await expectRefusal('storage.missing', () => DurableDatabase.open(path, description));
    expect(await readdir(join(path, '..'))).to.deep.equal([]);
  });

  it('is refused when others may read it or write beside it', async () => {
    const path = await written();
    await chmod(path, 0o640);
    await expectRefusal('storage.permissions', () => DurableDatabase.open(path, description));
    await chmod(path, 0o600);
    await chmod(join(path, '..'), 0o770);
    await expectRefusal('storage.permissions', () => DurableDatabase.open(path, description));
  });

  it('is refused through a link, under which a second log would lie', async () => {
    const path = await written();
    const linked = join(await temporaryDirectory(), 'linked.sqlite');
    await symlink(path, linked);
    await expectRefusal('storage.symlink', () => DurableDatabase.open(linked, description));
  });

  it('names the path when it cannot be made', async () => {
    const path = await written();
    const below = join(path, 'below', 'file.sqlite');
    const error = await expectRefusal('storage.failed', () => DurableDatabase.open(below, description));
    expect(error.message).to.contain(below);
  });

  describe('is refused as corrupt', () => {
    it('when it is no database', async () => {
      const path = await newPath();
      await mkdir(join(path, '..'), { mode: 0o700 });
      await writeFile(path, 'no database at all '.repeat(500), { mode: 0o600 });
      await corruption(path);
    });

    it('when it is empty, its log there or not', async () => {
      const path = await written();
      await truncate(path, 0);
      await corruption(path);
      await rm(`${path}-wal`, { force: true });
      await corruption(path);
    });

    it('when it is a database of another kind', async () => {
      const path = await written();
      tamper(path, 'PRAGMA application_id = 78');
      await corruption(path);
    });

    it('when it is a database of nobody', async () => {
      const path = await written();
      tamper(path, 'PRAGMA application_id = 0');
      await corruption(path);
    });

    it('when a unique constraint is gone from its schema', async () => {
      const path = await written();
      tamper(
        path,
        'CREATE TABLE loose (id INTEGER PRIMARY KEY, name TEXT NOT NULL, data BLOB) STRICT',
        'DROP TABLE item',
        'ALTER TABLE loose RENAME TO item',
      );
      await corruption(path);
    });

    it('when a trigger was added', async () => {
      const path = await written();
      tamper(
        path,
        'CREATE TRIGGER forget AFTER INSERT ON item BEGIN DELETE FROM item WHERE id = NEW.id; END',
      );
      await corruption(path);
    });

    it('when a row refers to one that is gone', async () => {
      const path = await written();
      tamper(path, 'PRAGMA foreign_keys = OFF', 'INSERT INTO part VALUES (9)');
      await corruption(path);
    });

    it('when its end is cut off', async () => {
      const path = await written(40);
      const { size } = await stat(path);
      await truncate(path, size - 4096);
      await corruption(path);
    });

    it('when a page is overwritten', async () => {
      const path = await written(40);
      const file = await open(path, 'r+');
      const { size } = await file.stat();
      await file.write(new Uint8Array(4096).fill(0xa5), 0, 4096, size - 4096);
      await file.close();
      await corruption(path);
    });

    it('when a column holds another type, which is found when it is read', async () => {
      const database = await DurableDatabase.create(await newPath(), description);
      database.run("INSERT INTO item VALUES (1, 'one', NULL)");
      await expectRefusal('test.corrupt', () =>
        database.get(z.object({ name: z.int() }), 'SELECT * FROM item'),
      );
      database.close();
    });
  });
});
