/**
 * Deterministic CBOR, out (RFC 8949 section 4.2.1): one value, one byte string.
 *
 * The encoder is our own because "shortest float" has to hold for every number: cborg 6 writes a
 * half-precision subnormal with more than one significant bit (3 * 2^-24, say) in single precision,
 * and a header that another implementation writes by the book would then be refused here.
 */
import { FormatError } from '../errors.js';

/** What a header may hold. Absent things are absent: there is no null and no undefined. */
export type CborValue =
  | boolean
  | number
  | string
  | Uint8Array
  | readonly CborValue[]
  | { readonly [key: string]: CborValue };

/** Nesting that no header of this format comes near; it keeps a crafted one off the stack's end. */
export const MAX_CBOR_DEPTH = 16;

const MAJOR_UNSIGNED = 0x00;
const MAJOR_NEGATIVE = 0x20;
const MAJOR_BYTES = 0x40;
const MAJOR_TEXT = 0x60;
const MAJOR_ARRAY = 0x80;
const MAJOR_MAP = 0xa0;
const FALSE = 0xf4;
const TRUE = 0xf5;
const HALF_FLOAT = 0xf9;
const SINGLE_FLOAT = 0xfa;
const DOUBLE_FLOAT = 0xfb;

const LONE_SURROGATE = /\p{Surrogate}/u;

/** A growing byte buffer. */
class ByteSink {
  #bytes = Buffer.allocUnsafe(1024);
  #length = 0;

  reserve(lengthBytes: number): { bytes: Buffer; at: number } {
    const at = this.#length;
    this.#length += lengthBytes;
    if (this.#length > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(this.#length, this.#bytes.length * 2));
      this.#bytes.copy(grown, 0, 0, at);
      this.#bytes = grown;
    }
    return { bytes: this.#bytes, at };
  }

  byte(value: number): void {
    const { bytes, at } = this.reserve(1);
    bytes[at] = value;
  }

  append(data: Uint8Array): void {
    const { bytes, at } = this.reserve(data.length);
    bytes.set(data, at);
  }

  finish(): Uint8Array {
    return Uint8Array.from(this.#bytes.subarray(0, this.#length));
  }
}

function refuse(path: string, reason: string): never {
  throw new FormatError('cbor.unsupported-value', `cannot encode ${path || 'the value'}: ${reason}`);
}

function writeHead(sink: ByteSink, major: number, argument: number): void {
  if (argument < 24) {
    sink.byte(major | argument);
  } else if (argument < 0x100) {
    sink.byte(major | 24);
    sink.byte(argument);
  } else if (argument < 0x10000) {
    const { bytes, at } = sink.reserve(3);
    bytes[at] = major | 25;
    bytes.writeUInt16BE(argument, at + 1);
  } else if (argument < 0x100000000) {
    const { bytes, at } = sink.reserve(5);
    bytes[at] = major | 26;
    bytes.writeUInt32BE(argument, at + 1);
  } else {
    const { bytes, at } = sink.reserve(9);
    bytes[at] = major | 27;
    bytes.writeBigUInt64BE(BigInt(argument), at + 1);
  }
}

const doubleView = new DataView(new ArrayBuffer(8));

/** The 16 bits of `value` in half precision, or undefined where half precision does not hold it exactly. */
function halfPrecisionBits(value: number): number | undefined {
  const magnitude = Math.abs(value);
  doubleView.setFloat64(0, magnitude);
  const exponent = Math.max((doubleView.getUint16(0) >> 4) - 1023, -14);
  const significand = magnitude * 2 ** (10 - exponent);
  if (exponent > 15 || !Number.isInteger(significand)) return undefined;
  // Below 1024 the implicit leading bit is missing: a subnormal, whose exponent field is 0.
  const bits = significand < 1024 ? significand : ((exponent + 15) << 10) + (significand - 1024);
  return value < 0 ? bits | 0x8000 : bits;
}

function writeNumber(sink: ByteSink, value: number, path: string): void {
  if (!Number.isFinite(value)) refuse(path, `${value} is not a finite number`);
  if (Number.isSafeInteger(value)) {
    // Also for -0, which thereby becomes 0: equal numbers have equal bytes.
    if (value >= 0) writeHead(sink, MAJOR_UNSIGNED, value === 0 ? 0 : value);
    else writeHead(sink, MAJOR_NEGATIVE, -1 - value);
    return;
  }
  const half = halfPrecisionBits(value);
  if (half !== undefined) {
    const { bytes, at } = sink.reserve(3);
    bytes[at] = HALF_FLOAT;
    bytes.writeUInt16BE(half, at + 1);
  } else if (Math.fround(value) === value) {
    const { bytes, at } = sink.reserve(5);
    bytes[at] = SINGLE_FLOAT;
    bytes.writeFloatBE(value, at + 1);
  } else {
    const { bytes, at } = sink.reserve(9);
    bytes[at] = DOUBLE_FLOAT;
    bytes.writeDoubleBE(value, at + 1);
  }
}

function textBytes(text: string, path: string): Uint8Array {
  if (LONE_SURROGATE.test(text)) refuse(path, 'the text holds half of a surrogate pair, which UTF-8 cannot');
  return Buffer.from(text, 'utf8');
}

function writeText(sink: ByteSink, text: string, path: string): void {
  const bytes = textBytes(text, path);
  writeHead(sink, MAJOR_TEXT, bytes.length);
  sink.append(bytes);
}

function writeMap(sink: ByteSink, map: object, path: string, depth: number): void {
  const prototype: unknown = Object.getPrototypeOf(map);
  if (prototype !== Object.prototype && prototype !== null) refuse(path, 'only plain objects are maps');
  const entries: { key: string; bytes: Buffer; value: unknown }[] = [];
  for (const [key, value] of Object.entries(map)) {
    if (value === undefined) continue;
    if (key === '__proto__') refuse(path, 'the key "__proto__" is not allowed');
    entries.push({ key, bytes: Buffer.from(textBytes(key, path)), value });
  }
  // RFC 8949 sorts by the encoded keys; the length stands in their first bytes, so shorter ones come first.
  entries.sort((a, b) => a.bytes.length - b.bytes.length || a.bytes.compare(b.bytes));
  writeHead(sink, MAJOR_MAP, entries.length);
  for (const { key, bytes, value } of entries) {
    writeHead(sink, MAJOR_TEXT, bytes.length);
    sink.append(bytes);
    writeValue(sink, value, path ? `${path}.${key}` : key, depth + 1);
  }
}

function writeArray(sink: ByteSink, items: readonly unknown[], path: string, depth: number): void {
  writeHead(sink, MAJOR_ARRAY, items.length);
  for (const [i, item] of items.entries()) writeValue(sink, item, `${path}[${i}]`, depth + 1);
}

function writeObject(sink: ByteSink, value: object, path: string, depth: number): void {
  if (value instanceof Uint8Array) {
    writeHead(sink, MAJOR_BYTES, value.length);
    sink.append(value);
    return;
  }
  if (depth >= MAX_CBOR_DEPTH) refuse(path, `it nests deeper than ${MAX_CBOR_DEPTH} levels`);
  if (Array.isArray(value)) writeArray(sink, value, path, depth);
  else writeMap(sink, value, path, depth);
}

function writeValue(sink: ByteSink, value: unknown, path: string, depth: number): void {
  if (typeof value === 'number') writeNumber(sink, value, path);
  else if (typeof value === 'string') writeText(sink, value, path);
  else if (typeof value === 'boolean') sink.byte(value ? TRUE : FALSE);
  else if (typeof value === 'object' && value !== null) writeObject(sink, value, path, depth);
  else refuse(path, `${value === null ? 'null' : typeof value} has no place in a header`);
}

/**
 * Encodes `value` deterministically: definite lengths, shortest heads, shortest exact floats, integral
 * numbers as integers, map keys in bytewise order. Properties that are `undefined` are left out.
 *
 * @throws FormatError `cbor.unsupported-value` for null, NaN, infinities, bigints, class instances,
 *   ill-formed text, the key `__proto__`, and nesting beyond {@link MAX_CBOR_DEPTH}.
 */
export function encodeCbor(value: unknown): Uint8Array {
  const sink = new ByteSink();
  writeValue(sink, value, '', 0);
  return sink.finish();
}
