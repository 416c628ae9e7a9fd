import { readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { readJsonlRecords } from '../../lib/observability/jsonl-reader.js';
import { JsonlWriter, type JsonlWriterOptions } from '../../lib/observability/jsonl-writer.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { privacyRecord } from './support/records.js';

describe('records as lines of JSON', () => {
  const writers: JsonlWriter[] = [];
  afterEach(async () => {
    for (const writer of writers.splice(0)) await writer.close();
  });

  async function open(directory: string, options: Partial<JsonlWriterOptions> = {}) {
    const dropped: number[] = [];
    const errors: unknown[] = [];
    const writer = await JsonlWriter.open({
      directory,
      onDropped: (count) => dropped.push(count),
      onError: (error) => errors.push(error),
      retryMs: 10,
      ...options,
    });
    writers.push(writer);
    return { writer, dropped, errors };
  }

  it('are all there when the writer is closed, and read as they were', async () => {
    const directory = await temporaryDirectory();
    const { writer } = await open(join(directory, 'records'));
    const records = Array.from({ length: 500 }, (_, i) => privacyRecord({ id: `p${i}`, atMs: 1000 + i }));
    for (const record of records) writer.put(record);
    await writer.close();
    const read = await readJsonlRecords(join(directory, 'records'));
    expect(read).to.deep.equal({ records: records.reverse(), unreadable: 0 });
    expect((await stat(join(directory, 'records'))).mode & 0o777).to.equal(0o700);
  });

  it('never make whoever has them wait: a put returns before anything is written', async () => {
    const directory = await temporaryDirectory();
    const { writer } = await open(directory);
    const [name = ''] = readdirSync(directory);
    writer.put(privacyRecord());
    expect(readFileSync(join(directory, name), 'utf8')).to.equal('');
    await writer.close();
    expect(readFileSync(join(directory, name), 'utf8')).to.equal(`${JSON.stringify(privacyRecord())}\n`);
  });

  it('are rotated by size, and the oldest files go', async () => {
    const directory = await temporaryDirectory();
    let now = 1_790_000_000_000;
    const { writer } = await open(directory, {
      ...{ maxFileBytes: 1000, maxFiles: 3 },
      now: () => {
        now += 1000;
        return now;
      },
    });
    await writeFile(join(directory, 'another.jsonl'), 'kept');
    for (let i = 0; i < 40; i += 1) {
      writer.put(privacyRecord({ id: `p${i}`, atMs: i }));
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await writer.close();
    const files = (await readdir(directory)).filter((name) => name.startsWith('records-'));
    expect(files).to.have.length(3);
    expect(await readFile(join(directory, 'another.jsonl'), 'utf8')).to.equal('kept');
    for (const name of files) {
      expect((await stat(join(directory, name))).size).to.be.lessThan(2000);
    }
    const { records, unreadable } = await readJsonlRecords(directory);
    expect(unreadable).to.equal(0);
    expect(records[0]?.id).to.equal('p39');
    // Without a gap, from the oldest that is left.
    expect(records.map(({ id }) => id)).to.deep.equal(records.map((_, i) => `p${39 - i}`));
  });

  it('are dropped when more come than wait, and how many is told', async () => {
    const { writer, dropped } = await open(await temporaryDirectory(), { maxQueued: 10 });
    for (let i = 0; i < 25; i += 1) writer.put(privacyRecord({ id: `p${i}` }));
    await writer.close();
    expect(dropped).to.deep.equal([15]);
  });

  it('go on after a disk that could not be written to, and say what it cost', async () => {
    const directory = join(await temporaryDirectory(), 'records');
    const { writer, dropped, errors } = await open(directory, { maxFileBytes: 1 });
    writer.put(privacyRecord({ id: 'first' }));
    await new Promise((resolve) => setTimeout(resolve, 20));
    await rm(directory, { recursive: true });
    writer.put(privacyRecord({ id: 'lost' }));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(errors.length).to.be.greaterThan(0);
    expect(dropped).to.deep.equal([1]);
    await mkdir(directory);
    writer.put(privacyRecord({ id: 'later' }));
    await writer.close();
    expect((await readJsonlRecords(directory)).records.map(({ id }) => id)).to.deep.equal(['later']);
  });

  it('are refused a directory that others may write to, at once', async () => {
    const directory = await temporaryDirectory();
    await chmod(directory, 0o777);
    const code = await open(directory).then(
      () => undefined,
      (error: { readonly code: string }) => error.code,
    );
    expect(code).to.equal('storage.permissions');
  });

  it('are read past what is none, which is counted; of one id the last counts', async () => {
    const directory = await temporaryDirectory();
    const lines = [
      JSON.stringify(privacyRecord({ epsilonSpent: 1 })),
      'null',
      '{"kind":"privacy"}',
      JSON.stringify(privacyRecord({ epsilonSpent: 3 })),
      '{"kind":"priv',
    ];
    await writeFile(join(directory, 'records-20260101T000000000Z-00000000.jsonl'), lines.join('\n'));
    const { records, unreadable } = await readJsonlRecords(directory);
    expect(unreadable).to.equal(3);
    expect(records).to.deep.equal([privacyRecord({ epsilonSpent: 3 })]);
    const code = await readJsonlRecords(join(directory, 'nothing')).catch(
      (error: { readonly code: string }) => error.code,
    );
    expect(code).to.equal('records.unreadable');
  });
});
