/** Reading containers: every length is checked before it is believed, every byte before it is handed out. */
import { constants as bufferLimits } from 'node:buffer';
import { FormatError, ParameterError, VerificationError } from '../errors.js';
import { chunkCount, chunkDigest, forEachChunk } from './digests.js';
import { Envelope } from './envelope.js';
import type { SectionEntry } from './header.js';
import { CHUNK_BYTES, DEFAULT_MAX_FILE_BYTES, decodePrefix, PREFIX_BYTES, truncated } from './layout.js';
import type { MessageKind } from './messages/registry.js';
import { type ByteSource, type ContainerOrigin, openSource } from './source.js';

export interface OpenOptions {
  /** Larger files are refused unread; the roster's `maxUpdateBytes` for updates. 64 GiB otherwise. */
  readonly maxFileBytes?: number;
}

interface Section extends SectionEntry {
  /** Where it begins in the file. */
  readonly offset: number;
}

/** An open container: its envelope, and its sections on demand. Close it when done. */
export class Container<K extends MessageKind> extends Envelope<K> {
  readonly sizeBytes: number;
  readonly #source: ByteSource;
  readonly #sections = new Map<string, Section>();

  /** @throws FormatError `container.truncated`, `container.trailing-bytes`, and those of {@link Envelope} */
  constructor(envelopeBytes: Uint8Array, expected: K | undefined, source: ByteSource) {
    super(envelopeBytes, expected);
    this.#source = source;
    this.sizeBytes = source.sizeBytes;
    let offset = envelopeBytes.length;
    for (const entry of this.header.sections) {
      this.#sections.set(entry.name, { ...entry, offset });
      offset += entry.length;
    }
    if (offset > this.sizeBytes) {
      throw truncated(`the file has ${this.sizeBytes} bytes; its header accounts for ${offset}`);
    }
    if (offset < this.sizeBytes) {
      throw new FormatError(
        'container.trailing-bytes',
        `${this.sizeBytes - offset} bytes follow the last section; nothing may`,
      );
    }
  }

  #section(name: string): Section {
    const section = this.#sections.get(name);
    if (section === undefined) {
      throw new ParameterError(
        'container.no-such-section',
        `a ${this.kind} has no section "${name}"; it has [${[...this.#sections.keys()].join(', ')}]`,
      );
    }
    return section;
  }

  /** Fills `chunk`, which is as long as chunk `index` of the section, and checks its digest. */
  async #readChunk(section: Section, index: number, chunk: Uint8Array): Promise<void> {
    await this.#source.read(chunk, section.offset + index * CHUNK_BYTES);
    const digest = await chunkDigest(chunk);
    if (Buffer.compare(digest, section.digests[index] as Uint8Array) !== 0) {
      throw new VerificationError(
        'container.digest-mismatch',
        `mebibyte ${index} of section "${section.name}" is not what was signed; fetch the file again`,
      );
    }
  }

  /** The length in bytes of a section. @throws ParameterError `container.no-such-section` */
  sectionLength(name: string): number {
    return this.#section(name).length;
  }

  /**
   * Reads a whole section into memory of the caller's, exactly as long. Where it does not verify,
   * `target` is zeroed, so that nothing unverified stays behind.
   *
   * @throws VerificationError `container.digest-mismatch`
   * @throws ParameterError `container.no-such-section`, `container.wrong-length`
   */
  async readSectionInto(name: string, target: Uint8Array): Promise<void> {
    const section = this.#section(name);
    if (target.length !== section.length) {
      throw new ParameterError(
        'container.wrong-length',
        `section "${name}" has ${section.length} bytes; the memory for it has ${target.length}`,
      );
    }
    try {
      await forEachChunk(chunkCount(section.length), (i) =>
        this.#readChunk(section, i, target.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES)),
      );
    } catch (error) {
      target.fill(0);
      throw error;
    }
  }

  /** A whole section, verified. @throws as {@link readSectionInto}; FormatError `container.too-large` */
  async readSection(name: string): Promise<Uint8Array> {
    const { length } = this.#section(name);
    if (length > bufferLimits.MAX_LENGTH) {
      throw new FormatError(
        'container.too-large',
        `section "${name}" of ${length} bytes does not fit one buffer; stream it`,
      );
    }
    const section = new Uint8Array(length);
    await this.readSectionInto(name, section);
    return section;
  }

  /**
   * A section a mebibyte at a time (the last piece is what is left), each verified before it is yielded
   * and the caller's to keep. The next one is read while the caller works.
   *
   * @throws VerificationError `container.digest-mismatch`: what was yielded before is sound, and the rest missing
   */
  async *streamSection(name: string): AsyncGenerator<Uint8Array, void, void> {
    const section = this.#section(name);
    const count = chunkCount(section.length);
    const load = async (index: number): Promise<Uint8Array> => {
      const chunk = new Uint8Array(Math.min(CHUNK_BYTES, section.length - index * CHUNK_BYTES));
      await this.#readChunk(section, index, chunk);
      return chunk;
    };
    let ahead = count > 0 ? load(0) : undefined;
    try {
      for (let i = 0; ahead !== undefined; i++) {
        const chunk = await ahead;
        ahead = i + 1 < count ? load(i + 1) : undefined;
        // A failure is thrown when its turn comes; until then it must not count as unhandled.
        ahead?.catch(() => undefined);
        yield chunk;
      }
    } finally {
      // The caller may stop early and close the file: nothing of ours may still be reading it.
      await ahead?.catch(() => undefined);
    }
  }

  /** Reads every section once and checks it, in constant memory. @throws VerificationError `container.digest-mismatch` */
  async verifySections(): Promise<void> {
    const free: Uint8Array[] = [];
    for (const section of this.#sections.values()) {
      await forEachChunk(chunkCount(section.length), async (i) => {
        const buffer = free.pop() ?? new Uint8Array(CHUNK_BYTES);
        await this.#readChunk(section, i, buffer.subarray(0, section.length - i * CHUNK_BYTES));
        free.push(buffer);
      });
    }
  }

  async close(): Promise<void> {
    await this.#source.close();
  }
}

/** A container of any kind; `kind` tells which. */
export type AnyContainer = { [K in MessageKind]: Container<K> }[MessageKind];

async function open<K extends MessageKind>(
  from: ContainerOrigin,
  expected: K | undefined,
  options: OpenOptions,
): Promise<Container<K>> {
  const source = await openSource(from);
  try {
    const limit = options.maxFileBytes ?? DEFAULT_MAX_FILE_BYTES;
    if (source.sizeBytes > limit) {
      throw new FormatError(
        'container.too-large',
        `the file has ${source.sizeBytes} bytes; the limit is ${limit}`,
      );
    }
    const start = new Uint8Array(Math.min(PREFIX_BYTES, source.sizeBytes));
    await source.read(start, 0);
    const prefix = decodePrefix(start, source.sizeBytes);
    const envelope = new Uint8Array(PREFIX_BYTES + prefix.headerBytes + prefix.signatureBlockBytes);
    await source.read(envelope, 0);
    return new Container(envelope, expected, source);
  } catch (error) {
    await source.close();
    throw error;
  }
}

/**
 * Opens a container of the expected kind. It is well formed then, and neither its signatures nor its
 * sections are verified: call {@link Envelope.verify} before trusting the body.
 *
 * @param from a path, the file's bytes (not copied; sections are copied out as they are read), or a source
 * @throws FormatError `container.*`; EnvironmentError `container.unreadable`
 */
export function openContainer<K extends MessageKind>(
  from: ContainerOrigin,
  kind: K,
  options: OpenOptions = {},
): Promise<Container<K>> {
  return open(from, kind, options);
}

/** Opens a container of whatever kind it says it is, to look at it. @throws as {@link openContainer} */
export async function openAnyContainer(
  from: ContainerOrigin,
  options: OpenOptions = {},
): Promise<AnyContainer> {
  return (await open<MessageKind>(from, undefined, options)) as AnyContainer;
}
