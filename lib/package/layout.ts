/** The fixed start of every file, and the limits that hold before anything is allocated. */
import { FormatError } from '../errors.js';

/**
 * As in PNG: the first byte is not ASCII, and the line ends show a file that a text-mode transfer has
 * rewritten.
 */
export const MAGIC = Uint8Array.of(0x89, 0x54, 0x47, 0x4e, 0x0d, 0x0a, 0x1a, 0x0a);

/** The container version that this release writes. */
export const CONTAINER_VERSION = 1;

/** Magic, version, zero, header length, signature block length. */
export const PREFIX_BYTES = 20;

/** One digest covers this much of a section; the last covers what is left. */
export const CHUNK_BYTES = 1 << 20;

export const MAX_HEADER_BYTES = 16 << 20;
export const MAX_SIGNATURE_BLOCK_BYTES = 64 << 10;

/** 64 GiB: far beyond any adapter, and its 65,536 digests still fit the header. */
export const DEFAULT_MAX_FILE_BYTES = 2 ** 36;

export interface Prefix {
  readonly version: number;
  readonly headerBytes: number;
  readonly signatureBlockBytes: number;
}

/** This release reads what it writes, and the version before, so that a fleet can be upgraded robot by robot. */
export function isReadableVersion(version: number, current: number = CONTAINER_VERSION): boolean {
  return version <= current && version >= Math.max(1, current - 1);
}

export function encodePrefix(headerBytes: number, signatureBlockBytes: number): Uint8Array {
  const prefix = new Uint8Array(PREFIX_BYTES);
  const view = new DataView(prefix.buffer);
  prefix.set(MAGIC);
  view.setUint16(8, CONTAINER_VERSION, true);
  view.setUint32(12, headerBytes, true);
  view.setUint32(16, signatureBlockBytes, true);
  return prefix;
}

export function truncated(message: string): FormatError {
  return new FormatError('container.truncated', `${message}; fetch the file again`);
}

/**
 * Reads the prefix of a file of `sizeBytes` bytes and checks the lengths in it against the limits and
 * the size, so that what it returns is safe to allocate.
 *
 * @param start the first bytes of the file, {@link PREFIX_BYTES} of them or all there are
 * @throws FormatError `container.bad-magic`, `.truncated`, `.unknown-version`, `.reserved-not-zero`, `.too-large`
 */
export function decodePrefix(start: Uint8Array, sizeBytes: number): Prefix {
  const magic = start.subarray(0, MAGIC.length);
  if (Buffer.compare(magic, MAGIC.subarray(0, magic.length)) !== 0) {
    throw new FormatError(
      'container.bad-magic',
      'this is not a TensorGuard file: its first bytes are others',
    );
  }
  if (start.length < PREFIX_BYTES) {
    throw truncated(
      `the file has ${start.length} bytes, fewer than the ${PREFIX_BYTES} that every one starts with`,
    );
  }
  const view = new DataView(start.buffer, start.byteOffset, PREFIX_BYTES);
  const version = view.getUint16(8, true);
  if (!isReadableVersion(version)) {
    throw new FormatError(
      'container.unknown-version',
      `container version ${version}; this release reads ${CONTAINER_VERSION} and the one before: ` +
        (version > CONTAINER_VERSION
          ? 'upgrade tensorguard-native'
          : 'write the file again with a newer release'),
    );
  }
  if (view.getUint16(10, true) !== 0) {
    throw new FormatError('container.reserved-not-zero', 'bytes 10 and 11 of the file must be zero');
  }
  const headerBytes = view.getUint32(12, true);
  const signatureBlockBytes = view.getUint32(16, true);
  if (headerBytes > MAX_HEADER_BYTES) {
    throw new FormatError(
      'container.too-large',
      `the header claims ${headerBytes} bytes; the limit is ${MAX_HEADER_BYTES}`,
    );
  }
  if (signatureBlockBytes > MAX_SIGNATURE_BLOCK_BYTES) {
    throw new FormatError(
      'container.too-large',
      `the signature block claims ${signatureBlockBytes} bytes; the limit is ${MAX_SIGNATURE_BLOCK_BYTES}`,
    );
  }
  if (PREFIX_BYTES + headerBytes + signatureBlockBytes > sizeBytes) {
    throw truncated(
      `the file has ${sizeBytes} bytes; its header and signatures alone take ${PREFIX_BYTES + headerBytes + signatureBlockBytes}`,
    );
  }
  return { version, headerBytes, signatureBlockBytes };
}
