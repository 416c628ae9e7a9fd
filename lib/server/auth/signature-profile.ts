/**
 * The one form of HTTP Message Signature (RFC 9421) that the service takes. Client and server share this file.
 *
 * The Ed25519 key also signs containers, whose signed bytes begin with `DSSEv1 `; a signature base begins with a quoted
 * component name. No signature of one kind can pass for the other.
 */

/** Names this protocol, so that a signature made for another service with the same key is refused. */
export const SIGNATURE_TAG = 'tensorguard-v1';
export const SIGNATURE_ALGORITHM = 'ed25519';
/** The label that our clients use; any other is as good. */
export const SIGNATURE_LABEL = 'tensorguard';

/** What every signature covers: the whole request line and whom it is for. */
export const REQUEST_COMPONENTS = ['@method', '@authority', '@path', '@query'] as const;
/** Covered too where the path does not name the body by its fingerprint. */
export const DIGEST_COMPONENT = 'content-digest';
export type SignedComponent = (typeof REQUEST_COMPONENTS)[number] | typeof DIGEST_COMPONENT;

export const SIGNATURE_PARAMETERS = ['created', 'expires', 'nonce', 'keyid', 'alg', 'tag'] as const;

export const DEFAULT_WINDOW_MS = 60_000;
export const DEFAULT_CLOCK_SKEW_MS = 30_000;

/** 128 random bits: two requests never share one by accident. */
export const NONCE_BYTES = 16;

/**
 * How the body of a request is tied to its signature: there is none, `Content-Digest` (RFC 9530) is signed, or the signed path
 * names the body by its fingerprint, which the route checks.
 */
export type BodyIntegrity = 'none' | 'content-digest' | 'named-by-path';

/** A request-target in origin form, as it is signed: an absent query is `?` (RFC 9421 section 2.2.7). */
export function splitTarget(target: string): { readonly path: string; readonly query: string } {
  const mark = target.indexOf('?');
  return mark === -1
    ? { path: target, query: '?' }
    : { path: target.slice(0, mark), query: target.slice(mark) };
}
