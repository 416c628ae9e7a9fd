/**
 * Records as lines of JSON, in files that are rotated by their size. Whoever has a record never waits for the disk: lines are
 * queued, so many and no more, and what is dropped is counted.
 */
import { randomBytes } from 'node:crypto';
import { type FileHandle, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createPrivateDirectory } from '../durable/private-files.js';
import type { RecordSink } from './record-sink.js';
import type { TelemetryRecord } from './records.js';

export interface JsonlWriterOptions {
  /** Several servers may share it. */
  readonly directory: string;
  /** A file that has this many is followed by another one. */
  readonly maxFileBytes?: number;
  /** Of all that lie there, the newest are kept. */
  readonly maxFiles?: number;
  /** Lines that wait for the disk. */
  readonly maxQueued?: number;
  readonly retryMs?: number;
  readonly onDropped: (count: number) => void;
  readonly onError: (error: unknown) => void;
  readonly now?: () => number;
}

const DEFAULT_MAX_FILE_BYTES = 64 << 20;
const DEFAULT_MAX_FILES = 16;
/** Some megabytes: minutes of the largest fleet. */
const DEFAULT_MAX_QUEUED = 16_384;
const DEFAULT_RETRY_MS = 5000;
const CLOSE_LIMIT_MS = 2000;
/** The owner's, and its group's to read: collectors of logs run as users of their own. */
const FILE_MODE = 0o640;

export const RECORD_FILE = /^records-[0-9TZ]+-[0-9a-f]{8}\.jsonl$/;

interface OpenFile {
  readonly handle: FileHandle;
  sizeBytes: number;
}

export class JsonlWriter implements RecordSink {
  readonly name = 'jsonl';
  #queued: string[] = [];
  #dropped = 0;
  #file: OpenFile | undefined;
  #writing: Promise<void> | undefined;
  readonly #closing = new AbortController();

  private constructor(private readonly options: JsonlWriterOptions) {}

  /** @throws EnvironmentError `storage.permissions`; what the file system says where there can be no directory */
  static async open(options: JsonlWriterOptions): Promise<JsonlWriter> {
    await createPrivateDirectory(options.directory);
    const writer = new JsonlWriter(options);
    // A directory that cannot be written to is for whoever starts the server to mend, not for the log to repeat.
    writer.#file = await writer.#openNext();
    return writer;
  }

  put(record: TelemetryRecord): void {
    const { maxQueued = DEFAULT_MAX_QUEUED } = this.options;
    if (this.#closing.signal.aborted || this.#queued.length >= maxQueued) {
      this.#dropped += 1;
      return;
    }
    this.#queued.push(`${JSON.stringify(record)}\n`);
    this.#writing ??= this.#drain().finally(() => {
      this.#writing = undefined;
    });
  }

  async close(): Promise<void> {
    const limit = setTimeout(() => this.#closing.abort(), CLOSE_LIMIT_MS);
    await this.#writing;
    clearTimeout(limit);
    this.#closing.abort();
    await this.#file?.handle.close().catch(this.options.onError);
    this.#file = undefined;
  }

  async #drain(): Promise<void> {
    // Also for a line that came first: what is put within one turn of the loop is written at once.
    await Promise.resolve();
    while (this.#queued.length > 0 && !this.#closing.signal.aborted) {
      const lines = this.#queued;
      this.#queued = [];
      try {
        while (lines.length > 0) await this.#write(lines);
      } catch (error) {
        // Part of it may be written: again from there on would tear lines, and again from the start would repeat them.
        this.#dropped += lines.length;
        this.options.onError(error);
        await this.#leave();
        await this.#pause();
      }
    }
    if (this.#dropped === 0) return;
    const count = this.#dropped;
    this.#dropped = 0;
    this.options.onDropped(count);
  }

  /** Writes as many of the first lines as the file takes, and removes them from the list. */
  async #write(lines: string[]): Promise<void> {
    const { maxFileBytes = DEFAULT_MAX_FILE_BYTES } = this.options;
    if (this.#file !== undefined && this.#file.sizeBytes >= maxFileBytes) await this.#leave();
    this.#file ??= await this.#openNext();
    let [count, sizeBytes] = [0, this.#file.sizeBytes];
    while (count < lines.length && sizeBytes < maxFileBytes) {
      sizeBytes += Buffer.byteLength(lines[count] as string);
      count += 1;
    }
    await this.#file.handle.appendFile(lines.slice(0, count).join(''));
    this.#file.sizeBytes = sizeBytes;
    lines.splice(0, count);
  }

  /** The next lines go into a file of their own: this one may end in the middle of a line. */
  async #leave(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.handle.close().catch(this.options.onError);
  }

  async #openNext(): Promise<OpenFile> {
    const { directory, maxFiles = DEFAULT_MAX_FILES, now = Date.now } = this.options;
    // In the order of time, and of no other process's.
    const time = new Date(now()).toISOString().replace(/[^0-9TZ]/g, '');
    const name = `records-${time}-${randomBytes(4).toString('hex')}.jsonl`;
    const handle = await open(join(directory, name), 'ax', FILE_MODE);
    const files = (await readdir(directory)).filter((each) => RECORD_FILE.test(each)).sort();
    for (const oldest of files.slice(0, Math.max(0, files.length - maxFiles))) {
      await rm(join(directory, oldest), { force: true });
    }
    return { handle, sizeBytes: 0 };
  }

  #pause(): Promise<void> {
    const { retryMs = DEFAULT_RETRY_MS } = this.options;
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, retryMs);
      this.#closing.signal.addEventListener(
        'abort',
        () => {
          clearTimeout(timer);
          resolve();
        },
        { once: true },
      );
    });
  }
}
