/**
 * The bytes of a residual file, committed or change, but for its values:
 *
 *   0    magic "TGRESIDU", format version (u32), kind (u32), value count (u64), update count (u32), zero (u32)
 *   32   schema key, 32 bytes
 *   64   policy id, ASCII, zeros up to 64 bytes
 *   128  the values, float32
 *        update fingerprints, 32 bytes each
 *        SHA-256 over everything before
 *
 * All little-endian. The fingerprints follow the values because a change is written before its update has
 * one. A change has one: its own update's. A committed residual has those it contains and whose change file
 * may still exist, the last applied one at the end.
 */
import { ParameterError } from '../../errors.js';

export const HEADER_BYTES = 128;
export const DIGEST_BYTES = 32;
export const FINGERPRINT_BYTES = 32;
export const SCHEMA_KEY_BYTES = 32;

const MAGIC = Buffer.from('TGRESIDU', 'latin1');
const FORMAT_VERSION = 1;
const POLICY_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const POLICY_OFFSET = 64;

/** Bounds what a header may make a reader compute with; a terabyte of values is no adapter. */
const MAX_VALUES = 2 ** 38;
/** Changes that a crash left behind at once: hardly ever more than one. */
const MAX_UPDATES = 4096;

const KINDS = { committed: 1, change: 2 } as const;
export type ResidualKind = keyof typeof KINDS;

/** What the values of a residual belong to. */
export interface ResidualShape {
  /** 1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit. */
  readonly policy: string;
  /** 32 bytes that name the adapter's schema and the list of sent tensors, in their order. */
  readonly schemaKey: Uint8Array;
  /** One for each coordinate of the sent tensors, 1 to 2^38. */
  readonly valueCount: number;
}

export interface ResidualHeader extends ResidualShape {
  readonly kind: ResidualKind;
  readonly updateCount: number;
}

/** @throws ParameterError `residual.bad-argument` */
export function requirePolicy(policy: string): void {
  if (!POLICY_PATTERN.test(policy)) {
    throw badArgument(`A policy id is 1 to 64 of A-Z a-z 0-9 . _ -, not ${JSON.stringify(policy)}.`);
  }
}

/** @throws ParameterError `residual.bad-argument` */
export function requireFingerprint(update: Uint8Array): void {
  if (update.length !== FINGERPRINT_BYTES) {
    throw badArgument(`An update's fingerprint has ${FINGERPRINT_BYTES} bytes, not ${update.length}.`);
  }
}

/** @throws ParameterError `residual.bad-argument` */
export function requireSchemaKey(schemaKey: Uint8Array): void {
  if (schemaKey.length !== SCHEMA_KEY_BYTES) {
    throw badArgument(`A schema key has ${SCHEMA_KEY_BYTES} bytes, not ${schemaKey.length}.`);
  }
}

/** @throws ParameterError `residual.bad-argument` */
export function requireShape(shape: ResidualShape): void {
  requirePolicy(shape.policy);
  requireSchemaKey(shape.schemaKey);
  if (!isCount(shape.valueCount, MAX_VALUES)) {
    throw badArgument(`A residual has 1 to 2^38 values, not ${shape.valueCount}.`);
  }
}

/** The 128 bytes before the values. @throws ParameterError `residual.bad-argument` */
export function encodeHeader(header: ResidualHeader): Uint8Array {
  requireShape(header);
  if (!isCount(header.updateCount, MAX_UPDATES)) {
    throw badArgument(`A residual names 1 to ${MAX_UPDATES} updates, not ${header.updateCount}.`);
  }
  const bytes = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(bytes);
  bytes.writeUInt32LE(FORMAT_VERSION, 8);
  bytes.writeUInt32LE(KINDS[header.kind], 12);
  bytes.writeBigUInt64LE(BigInt(header.valueCount), 16);
  bytes.writeUInt32LE(header.updateCount, 24);
  bytes.set(header.schemaKey, 32);
  bytes.write(header.policy, POLICY_OFFSET, 'latin1');
  return bytes;
}

/**
 * Reads a header, whose file has `sizeBytes` bytes. Nothing that it says is proven before the digest is.
 *
 * @param bytes 128 bytes
 * @returns the header, or what is wrong with it: a part of a sentence
 */
export function parseHeader(bytes: Buffer, kind: ResidualKind, sizeBytes: number): ResidualHeader | string {
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) return 'it is no residual file';
  const version = bytes.readUInt32LE(8);
  if (version !== FORMAT_VERSION) return `it has format version ${version}, and this release reads 1`;
  if (bytes.readUInt32LE(12) !== KINDS[kind]) return `it is not a ${kind} residual`;
  const valueCount = Number(bytes.readBigUInt64LE(16));
  const updateCount = bytes.readUInt32LE(24);
  const policy = bytes.toString('latin1', POLICY_OFFSET).replace(/\0+$/, '');
  if (!isCount(valueCount, MAX_VALUES) || !isCount(updateCount, kind === 'change' ? 1 : MAX_UPDATES)) {
    return 'its counts are out of range';
  }
  if (bytes.readUInt32LE(28) !== 0 || !POLICY_PATTERN.test(policy)) return 'its header is malformed';
  const header = {
    kind,
    policy,
    valueCount,
    updateCount,
    schemaKey: Uint8Array.from(bytes.subarray(32, POLICY_OFFSET)),
  };
  const expectedBytes = fileBytes(header);
  return sizeBytes === expectedBytes ? header : `it has ${sizeBytes} bytes and should have ${expectedBytes}`;
}

/** Where the fingerprints begin, right after the values. */
export function updatesOffset(header: ResidualHeader): number {
  return HEADER_BYTES + header.valueCount * Float32Array.BYTES_PER_ELEMENT;
}

function fileBytes(header: ResidualHeader): number {
  return updatesOffset(header) + header.updateCount * FINGERPRINT_BYTES + DIGEST_BYTES;
}

function isCount(value: number, maximum: number): boolean {
  return Number.isSafeInteger(value) && value >= 1 && value <= maximum;
}

function badArgument(message: string): ParameterError {
  return new ParameterError('residual.bad-argument', message);
}
