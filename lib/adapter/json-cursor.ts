/**
 * A strict, pulling reader of JSON (RFC 8259) that builds no tree.
 *
 * `JSON.parse` hides what a validator must see: of two equal keys it keeps the last (another reader
 * may keep the first, and the two then disagree about the same file), it rounds integers that do not
 * fit, and it allocates whatever a hostile text nests. Here the caller says what it expects next, and
 * the first token that is anything else ends the matter.
 */

/** What a text can be refused for; the caller gives it the code of its own format. */
export type JsonProblem = 'malformed' | 'duplicate-key';

/** Deep enough for any configuration file, shallow enough for the call stack. */
const MAX_SKIPPED_DEPTH = 64;

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const UNSIGNED_INTEGER = /(?:0|[1-9][0-9]*)(?![0-9.eE])/y;
const LITERAL = /true|false|null/y;
const LONE_SURROGATE = /\p{Surrogate}/u;

export class JsonCursor {
  private position = 0;

  /** `refuse` turns a problem and its description (with the offset) into the error to throw. */
  constructor(
    private readonly text: string,
    private readonly refuse: (problem: JsonProblem, detail: string) => Error,
  ) {}

  /** Reads an object; `member` gets each key and must read exactly its value. Equal keys are refused. */
  object(member: (key: string) => void): void {
    this.punctuation('{', 'an object');
    const seen = new Set<string>();
    if (this.takeIf('}')) return;
    do {
      const key = this.string();
      if (seen.has(key)) throw this.refuse('duplicate-key', `the key ${quoteName(key)} occurs twice`);
      seen.add(key);
      this.punctuation(':', "':'");
      member(key);
    } while (this.takeIf(','));
    this.punctuation('}', "',' or '}'");
  }

  /** Reads an array; `item` is called before each element and must read exactly that element. */
  array(item: () => void): void {
    this.punctuation('[', 'an array');
    if (this.takeIf(']')) return;
    do item();
    while (this.takeIf(','));
    this.punctuation(']', "',' or ']'");
  }

  /** Reads a string. One with a lone surrogate is refused: it has no UTF-8 form to compare or hash. */
  string(): string {
    this.punctuation('"', 'a string');
    const start = this.position;
    let escaped = false;
    for (;;) {
      const unit = this.text.charCodeAt(this.position);
      if (Number.isNaN(unit) || unit < 0x20) throw this.malformed('a string that ends');
      if (unit === 0x22) break;
      if (unit === 0x5c) {
        escaped = true;
        this.position++;
      }
      this.position++;
    }
    const raw = this.text.slice(start, this.position);
    this.position++;
    const value = escaped ? this.unescape(raw, start) : raw;
    if (LONE_SURROGATE.test(value)) {
      throw this.refuse('malformed', `the string at offset ${start} holds half of a surrogate pair`);
    }
    return value;
  }

  /** Reads an integer in [0, 2^53 - 1], written without sign, fraction or exponent. */
  unsignedInteger(): number {
    const value = Number(this.match(UNSIGNED_INTEGER, 'a non-negative integer'));
    if (!Number.isSafeInteger(value)) throw this.malformed('an integer below 2^53');
    return value;
  }

  /** Reads any value and drops it; equal keys are refused at every level. */
  skipValue(depth = 0): void {
    if (depth > MAX_SKIPPED_DEPTH) throw this.malformed(`at most ${MAX_SKIPPED_DEPTH} levels of nesting`);
    this.skipWhitespace();
    const next = this.text[this.position];
    if (next === '{') this.object(() => this.skipValue(depth + 1));
    else if (next === '[') this.array(() => this.skipValue(depth + 1));
    else if (next === '"') this.string();
    else if (next === 't' || next === 'f' || next === 'n') this.match(LITERAL, 'a value');
    else this.match(NUMBER, 'a value');
  }

  /** Refuses anything but whitespace from here on. */
  end(): void {
    this.skipWhitespace();
    if (this.position !== this.text.length) throw this.malformed('the end');
  }

  private unescape(raw: string, start: number): string {
    try {
      return JSON.parse(`"${raw}"`) as string;
    } catch {
      throw this.refuse('malformed', `the string at offset ${start} holds an escape that JSON does not have`);
    }
  }

  private match(pattern: RegExp, expected: string): string {
    this.skipWhitespace();
    pattern.lastIndex = this.position;
    const found = pattern.exec(this.text)?.[0];
    if (found === undefined) throw this.malformed(expected);
    this.position += found.length;
    return found;
  }

  private punctuation(character: string, expected: string): void {
    if (!this.takeIf(character)) throw this.malformed(expected);
  }

  private takeIf(character: string): boolean {
    this.skipWhitespace();
    if (this.text[this.position] !== character) return false;
    this.position++;
    return true;
  }

  private skipWhitespace(): void {
    for (;;) {
      const unit = this.text.charCodeAt(this.position);
      if (unit !== 0x20 && unit !== 0x0a && unit !== 0x0d && unit !== 0x09) return;
      this.position++;
    }
  }

  private malformed(expected: string): Error {
    const found = this.text.slice(this.position, this.position + 16);
    return this.refuse(
      'malformed',
      `expected ${expected} at offset ${this.position}, found ${found === '' ? 'the end' : JSON.stringify(found)}`,
    );
  }
}

/** A name for a message: quoted, control characters escaped, and never longer than a line. */
export function quoteName(name: string): string {
  return JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}...` : name);
}
