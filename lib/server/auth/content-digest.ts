/** `Content-Digest` with SHA-256 (RFC 9530), over the bytes of the body as they are on the wire. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { Transform, type TransformCallback } from 'node:stream';
import { RefusedError } from '../../errors.js';
import { sha256 } from '../../package/digests.js';

/** One member only: with two, a checker could look at one and a reader rely on the other. */
const HEADER = /^sha-256=:([A-Za-z0-9+/]{43}=):$/;

export function contentDigestOf(body: Uint8Array): string {
  return `sha-256=:${Buffer.from(sha256(body)).toString('base64')}:`;
}

/** @throws RefusedError `auth.bad-digest` */
export function parseContentDigest(header: string): Uint8Array {
  const [, encoded] = HEADER.exec(header) ?? [];
  if (encoded === undefined) {
    throw new RefusedError(
      'auth.bad-digest',
      'Content-Digest must be sha-256=:BASE64: with the SHA-256 of the body, and nothing else.',
    );
  }
  return Uint8Array.from(Buffer.from(encoded, 'base64'));
}

function digestMismatch(): RefusedError {
  return new RefusedError(
    'auth.digest-mismatch',
    'The body is not the one that was signed: its SHA-256 is not that of Content-Digest. Send it again.',
  );
}

/** @throws RefusedError `auth.digest-mismatch` */
export function requireContentDigest(body: Uint8Array, expected: Uint8Array): void {
  if (!timingSafeEqual(sha256(body), expected)) throw digestMismatch();
}

/** Passes a body on and fails with `auth.digest-mismatch` instead of ending, so that no reader sees a whole wrong body. */
export class DigestCheck extends Transform {
  readonly #hash = createHash('sha256');
  /** Fastify compares it with Content-Length. */
  receivedEncodedLength = 0;

  constructor(private readonly expected: Uint8Array) {
    super();
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#hash.update(chunk);
    this.receivedEncodedLength += chunk.length;
    done(null, chunk);
  }

  override _flush(done: TransformCallback): void {
    done(timingSafeEqual(this.#hash.digest(), this.expected) ? null : digestMismatch());
  }
}
