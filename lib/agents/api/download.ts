/** Downloading a file that may be large: what has arrived before a cut is not asked for again. */
import { type FileHandle, open } from 'node:fs/promises';
import { EnvironmentError, FormatError } from '../../errors.js';
import { isConnectionFailure } from '../failures.js';
import { bodyUntil, GivingUp } from '../http/giving-up.js';

export interface DownloadOptions {
  /** Opens the answer from `startByte` on; its status is 200 (the whole file), 206, or what means that there is none. */
  readonly open: (headers: Readonly<Record<string, string>>, signal: AbortSignal) => Promise<Response>;
  readonly out: string;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
  /** Attempts without a single byte in between. */
  readonly maxAttempts?: number;
  /** A connection on which nothing comes for so long is dead. */
  readonly silenceMs?: number;
}

const DEFAULT_MAX_ATTEMPTS = 3;
const DEFAULT_SILENCE_MS = 60_000;

/**
 * Writes the body of an answer to a new file of mode 0600. A file that changed between two attempts comes out wrong, which
 * the digests in its header tell.
 *
 * @throws FormatError `http.bad-answer` for more than `maxBytes`; EnvironmentError `http.unreachable`; what `open` throws
 */
export async function download(options: DownloadOptions): Promise<void> {
  const { out, maxAttempts = DEFAULT_MAX_ATTEMPTS } = options;
  const file = await open(out, 'wx', 0o600);
  try {
    let received = 0;
    for (let attempt = 1; ; attempt += 1) {
      const before = received;
      try {
        await receive(options, file, received, (bytes) => {
          received = bytes;
        });
        return;
      } catch (error) {
        if (!(error instanceof Broken) && !isConnectionFailure(error)) throw error;
        if (received > before) attempt = 0;
        if (options.signal.aborted || attempt >= maxAttempts) {
          throw error instanceof Broken ? error.asFailure() : error;
        }
      }
    }
  } finally {
    await file.close();
  }
}

/** The body broke off. */
class Broken extends Error {
  asFailure(): EnvironmentError {
    return new EnvironmentError(
      'http.unreachable',
      'The connection breaks while a file is downloaded. Check the network.',
      { cause: this.cause },
    );
  }
}

async function receive(
  { open: openFrom, maxBytes, signal, silenceMs = DEFAULT_SILENCE_MS }: DownloadOptions,
  file: FileHandle,
  start: number,
  onReceived: (bytes: number) => void,
): Promise<void> {
  const givingUp = new GivingUp(signal, silenceMs);
  try {
    const headers: Record<string, string> = start > 0 ? { range: `bytes=${start}-` } : {};
    const response = await openFrom(headers, givingUp.signal);
    let position = response.status === 206 ? start : 0;
    const expected = position + Number(response.headers.get('content-length') ?? Number.NaN);
    givingUp.heard();
    for await (const piece of brokenAsSuch(bodyUntil(response.body, givingUp.signal))) {
      givingUp.heard();
      if (position + piece.length > maxBytes) {
        throw new FormatError('http.bad-answer', `The server's file is longer than ${maxBytes} bytes.`);
      }
      await file.write(piece, 0, piece.length, position);
      position += piece.length;
      onReceived(position);
    }
    if (position < expected) throw new Broken('the body is shorter than announced');
    await file.truncate(position);
  } finally {
    givingUp.end();
  }
}

async function* brokenAsSuch(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (cause) {
    throw new Broken('the connection broke', { cause });
  }
}
