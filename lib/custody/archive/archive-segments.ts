/**
 * A stream of bytes as segments of AES-256-GCM: the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizar, CRYPTO 2015).
 *
 * Every segment but the last holds 1 MiB. The nonce is prefix (7) || counter (4, big-endian) || 1 for the last segment, else
 * 0; the header is associated data. So a segment that was changed, moved, repeated or left out does not open, and neither
 * does a stream that was cut between two segments. Nothing is handed on before its tag was checked.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { FormatError, VerificationError } from '../../errors.js';
import type { SecretBytes } from '../secret-bytes.js';
import { type ArchiveHeader, HEADER_BYTES, malformed, NONCE_PREFIX_BYTES } from './archive-header.js';

export const SEGMENT_BYTES = 1 << 20;
const TAG_BYTES = 16;
/** 1 TiB: far more than a role's state, far less than the counter or GCM's bounds admit. */
const MAX_SEGMENTS = 1 << 20;

function nonceOf({ noncePrefix }: ArchiveHeader, index: number, last: boolean): Uint8Array {
  const nonce = new Uint8Array(NONCE_PREFIX_BYTES + 5);
  nonce.set(noncePrefix);
  const view = new DataView(nonce.buffer);
  view.setUint32(NONCE_PREFIX_BYTES, index, false);
  view.setUint8(NONCE_PREFIX_BYTES + 4, last ? 1 : 0);
  return nonce;
}

/** Encrypts what is pushed; the header is the caller's to write first. */
export class SegmentWriter {
  readonly #file: FileHandle;
  readonly #header: ArchiveHeader;
  readonly #key: SecretBytes;
  readonly #pending = new Uint8Array(SEGMENT_BYTES);
  #pendingBytes = 0;
  #index = 0;

  constructor(file: FileHandle, header: ArchiveHeader, key: SecretBytes) {
    this.#file = file;
    this.#header = header;
    this.#key = key;
  }

  /** @throws FormatError `archive.too-large` */
  async push(data: Uint8Array): Promise<void> {
    for (let offset = 0; offset < data.length; ) {
      // A full segment waits for the next byte, since only `finish` knows which is the last.
      if (this.#pendingBytes === SEGMENT_BYTES) await this.#flush(false);
      const part = data.subarray(offset, offset + SEGMENT_BYTES - this.#pendingBytes);
      this.#pending.set(part, this.#pendingBytes);
      this.#pendingBytes += part.length;
      offset += part.length;
    }
  }

  async finish(): Promise<void> {
    await this.#flush(true);
    this.#pending.fill(0);
  }

  async #flush(last: boolean): Promise<void> {
    if (this.#index >= MAX_SEGMENTS) {
      throw new FormatError(
        'archive.too-large',
        `An archive holds at most ${MAX_SEGMENTS} MiB. Move what is not the role's state out of its directory.`,
      );
    }
    const nonce = nonceOf(this.#header, this.#index, last);
    const sealed = this.#key.use((key) => {
      const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
      cipher.setAAD(this.#header.bytes);
      const ciphertext = cipher.update(this.#pending.subarray(0, this.#pendingBytes));
      cipher.final();
      return Buffer.concat([ciphertext, cipher.getAuthTag()]);
    });
    await this.#file.writeFile(sealed);
    this.#index += 1;
    this.#pendingBytes = 0;
  }
}

/**
 * The plaintext of the segments after the header, a segment at a time.
 *
 * @param sizeBytes of the whole file
 * @throws FormatError `archive.malformed`; VerificationError `archive.not-opened` for the first segment, `archive.damaged`
 *   for a later one
 */
export async function* readSegments(
  file: FileHandle,
  sizeBytes: number,
  header: ArchiveHeader,
  key: SecretBytes,
): AsyncGenerator<Uint8Array> {
  const sealedBytes = SEGMENT_BYTES + TAG_BYTES;
  const bodyBytes = sizeBytes - HEADER_BYTES;
  const segments = Math.ceil(bodyBytes / sealedBytes);
  if (segments < 1 || segments > MAX_SEGMENTS) throw malformed(`it has ${sizeBytes} bytes`);
  for (let index = 0; index < segments; index += 1) {
    const last = index === segments - 1;
    const offset = index * sealedBytes;
    const sealed = Buffer.alloc(last ? bodyBytes - offset : sealedBytes);
    const { bytesRead } = await file.read(sealed, 0, sealed.length, HEADER_BYTES + offset);
    const opened =
      bytesRead === sealed.length && bytesRead >= TAG_BYTES
        ? openSegment(sealed, nonceOf(header, index, last), header, key)
        : undefined;
    if (opened === undefined) throw index === 0 ? notOpened() : damaged(`segment ${index + 1} does not open`);
    yield opened;
  }
}

function openSegment(
  sealed: Uint8Array,
  nonce: Uint8Array,
  header: ArchiveHeader,
  key: SecretBytes,
): Uint8Array | undefined {
  return key.use((bytes) => {
    // Without `authTagLength` Node would accept a tag of 4 bytes.
    const decipher = createDecipheriv('aes-256-gcm', bytes, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(header.bytes).setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
    const opened = decipher.update(sealed.subarray(0, sealed.length - TAG_BYTES));
    try {
      decipher.final();
    } catch {
      opened.fill(0);
      return undefined;
    }
    return opened;
  });
}

function notOpened(): VerificationError {
  return new VerificationError(
    'archive.not-opened',
    'The archive does not open: the passphrase is another one, or its beginning was changed. Check the passphrase file; ' +
      'if it is right, use another copy of the archive.',
  );
}

export function damaged(what: string): VerificationError {
  return new VerificationError(
    'archive.damaged',
    `The archive was changed or cut off: ${what}. Nothing of it was used. Use another copy of it.`,
  );
}
