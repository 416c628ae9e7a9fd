/** Reading server-sent events (WHATWG HTML section 9.2.6) piece by piece, as a stream brings them. */

export interface ServerEvent {
  /** `message` where the server names none. */
  readonly type: string;
  readonly data: string;
}

/** No event of the server is longer; what is would fill the page's memory. */
const MAX_EVENT_CHARACTERS = 4 << 20;

export class EventStreamParser {
  /** Of the last event that came, to go on after it. */
  lastEventId: string | undefined;
  readonly #decoder = new TextDecoder();
  #text = '';
  #type = '';
  #data: string[] = [];
  #dataCharacters = 0;

  constructor(lastEventId?: string) {
    this.lastEventId = lastEventId;
  }

  /** Events that are complete with this piece. @throws RangeError for one that does not end */
  push(bytes: Uint8Array): ServerEvent[] {
    this.#text += this.#decoder.decode(bytes, { stream: true });
    const events: ServerEvent[] = [];
    let start = 0;
    for (;;) {
      const end = this.#endOfLine(start);
      if (end === undefined) break;
      const event = this.#take(this.#text.slice(start, end.line));
      if (event !== undefined) events.push(event);
      start = end.next;
    }
    this.#text = this.#text.slice(start);
    if (this.#text.length + this.#dataCharacters > MAX_EVENT_CHARACTERS) {
      throw new RangeError('An event of the server does not end.');
    }
    return events;
  }

  /** Lines end with LF, CR, or both; a CR at the very end may be half of both. */
  #endOfLine(start: number): { readonly line: number; readonly next: number } | undefined {
    for (let i = start; i < this.#text.length; i += 1) {
      const character = this.#text[i];
      if (character === '\n') return { line: i, next: i + 1 };
      if (character !== '\r') continue;
      if (i + 1 === this.#text.length) return undefined;
      return { line: i, next: this.#text[i + 1] === '\n' ? i + 2 : i + 1 };
    }
    return undefined;
  }

  #take(line: string): ServerEvent | undefined {
    if (line === '') return this.#dispatch();
    const colon = line.indexOf(':');
    if (colon === 0) return undefined;
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') this.#type = value;
    else if (field === 'id' && !value.includes('\0')) this.lastEventId = value;
    else if (field === 'data') {
      this.#data.push(value);
      this.#dataCharacters += value.length;
    }
    return undefined;
  }

  #dispatch(): ServerEvent | undefined {
    const event = { type: this.#type || 'message', data: this.#data.join('\n') };
    const isEmpty = this.#data.length === 0;
    this.#type = '';
    this.#data = [];
    this.#dataCharacters = 0;
    return isEmpty ? undefined : event;
  }
}
