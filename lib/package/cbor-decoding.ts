/** Deterministic CBOR, in: only what {@link encodeCbor} would have written is accepted. */
import { type DecodeOptions, decode, type Token, Tokenizer, Type } from 'cborg';
import { FormatError, TensorGuardError } from '../errors.js';
import { type CborValue, encodeCbor, MAX_CBOR_DEPTH } from './cbor-encoding.js';

/**
 * Every item costs some hundred bytes of heap for its one byte on the wire, so the length limit alone
 * would let a 16 MiB header claim gigabytes.
 */
const MAX_CBOR_ITEMS = 1 << 20;

const DECODE_OPTIONS: DecodeOptions = {
  allowIndefinite: false,
  allowUndefined: false,
  allowBigInt: false,
  allowInfinity: false,
  allowNaN: false,
  rejectDuplicateMapKeys: true,
  strict: true,
  useMaps: false,
};

/** A tokenizer that refuses before anything is built: depth, item counts, and counts that cannot be true. */
class BoundedTokenizer extends Tokenizer {
  /** Items still to come in each open array or map, the outermost first. */
  readonly #open: number[] = [];
  #items = 0;

  override next(): Token {
    const token = super.next();
    this.#items += 1;
    if (this.#items > MAX_CBOR_ITEMS) throw new Error(`it holds more than ${MAX_CBOR_ITEMS} items`);
    const innermost = this.#open.length - 1;
    if (innermost >= 0) this.#open[innermost] = (this.#open[innermost] ?? 0) - 1;
    if (Type.equals(token.type, Type.array) || Type.equals(token.type, Type.map)) this.#enter(token);
    while (this.#open.at(-1) === 0) this.#open.pop();
    return token;
  }

  #enter(token: Token): void {
    const items = Number(token.value) * (Type.equals(token.type, Type.map) ? 2 : 1);
    if (items > this.data.length - this.pos())
      throw new Error('an array or map claims more items than bytes follow');
    if (this.#open.length >= MAX_CBOR_DEPTH) throw new Error(`it nests deeper than ${MAX_CBOR_DEPTH} levels`);
    this.#open.push(items);
  }
}

function notCanonical(what: string, reason: string, cause?: unknown): FormatError {
  return new FormatError(
    'container.not-canonical',
    `${what} is not deterministic CBOR (RFC 8949 section 4.2.1): ${reason}; ask its sender to write it again`,
    { cause },
  );
}

/**
 * Decodes one deterministic CBOR value that fills `bytes`. The result shares no memory with `bytes`.
 *
 * The last check encodes the value again and compares: it catches what a decoder cannot see, such as
 * the order of keys, a float that is longer than it need be, or text that is not UTF-8.
 *
 * @param what names the thing in error messages, "the header"
 * @throws FormatError `container.not-canonical`
 */
export function decodeCbor(bytes: Uint8Array, what: string): CborValue {
  // A Buffer's slice would share memory with it; a Uint8Array's does not.
  const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  let value: unknown;
  let again: Uint8Array;
  try {
    value = decode(plain, { ...DECODE_OPTIONS, tokenizer: new BoundedTokenizer(plain, DECODE_OPTIONS) });
    again = encodeCbor(value);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw notCanonical(what, reason, error instanceof TensorGuardError ? undefined : error);
  }
  if (Buffer.compare(again, bytes) !== 0) throw notCanonical(what, 'it does not encode to itself again');
  return value as CborValue;
}
