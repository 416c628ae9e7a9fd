/** Verifying the signature of a request against the roster's keys. */
import { createPublicKey } from 'node:crypto';
import { createVerifier, httpbis } from 'http-message-signatures';
import { RefusedError } from '../../errors.js';
import type { PublicKeys } from '../../package/keys.js';
import type { Machine } from './actor.js';
import { parseContentDigest } from './content-digest.js';
import { type KeyDirectory, type ListedKey, requireActive } from './key-directory.js';
import { DEFAULT_NONCE_LIMITS, type NonceLimits, NonceMemory } from './nonce-memory.js';
import { parseSignatureInput, type SignatureInput } from './signature-input.js';
import {
  type BodyIntegrity,
  DEFAULT_CLOCK_SKEW_MS,
  DEFAULT_WINDOW_MS,
  DIGEST_COMPONENT,
  SIGNATURE_ALGORITHM,
  type SignedComponent,
  splitTarget,
} from './signature-profile.js';

export interface SignedRequest {
  /** Upper case, as it was received. */
  readonly method: string;
  /** In origin form, byte for byte as it was received: what is routed is what is verified. */
  readonly target: string;
  /** Host and port that the client addressed: lower case, without the scheme's default port. */
  readonly authority: string;
  readonly signatureInput: string;
  readonly signature: string;
  /** The value of `Content-Digest`, if there is one. */
  readonly contentDigest: string | undefined;
}

export interface Authenticated {
  readonly machine: Machine;
  /** SHA-256 that the body must have, 32 bytes; undefined where the route needs none. */
  readonly bodyDigest: Uint8Array | undefined;
}

export interface SignatureOptions {
  /** The longest life of a signature. */
  readonly windowMs?: number;
  /** How far the clocks of client and server may be apart. */
  readonly clockSkewMs?: number;
  readonly nonces?: NonceLimits;
  readonly now?: () => number;
}

export class SignatureVerifier {
  readonly #windowMs: number;
  readonly #clockSkewMs: number;
  readonly #nonces: NonceMemory;
  readonly #now: () => number;

  constructor(
    private readonly directory: KeyDirectory,
    options: SignatureOptions = {},
  ) {
    this.#windowMs = options.windowMs ?? DEFAULT_WINDOW_MS;
    this.#clockSkewMs = options.clockSkewMs ?? DEFAULT_CLOCK_SKEW_MS;
    this.#now = options.now ?? Date.now;
    // From `clockSkewMs` before `created` to as long after `expires`.
    const lifetimeMs = this.#windowMs + 2 * this.#clockSkewMs;
    this.#nonces = new NonceMemory(lifetimeMs, options.nonces ?? DEFAULT_NONCE_LIMITS);
  }

  /**
   * @throws RefusedError `auth.*`; `roster.client-suspended`, `roster.client-revoked` for a key that was active once
   * @throws RetryLaterError `auth.too-many-requests`, `server.overloaded`
   */
  async verify(request: SignedRequest, integrity: BodyIntegrity): Promise<Authenticated> {
    const input = parseSignatureInput(request.signatureInput, request.signature);
    const bodyDigest = coveredDigest(request, input, integrity);
    this.#requireTimely(input);
    const key = this.directory.find(input.keyId);
    if (key === undefined) {
      throw new RefusedError(
        'auth.unknown-key',
        'The roster here lists no machine with this key. Enrol it, or bring the roster that lists it.',
      );
    }
    await requireSignature(request, key.publicKeys);
    this.#nonces.remember(input.keyId, input.nonce, this.#now());
    // Only now: whether a machine is suspended is for that machine to learn.
    requireActive(key);
    return { machine: machineOf(key, input.keyId), bodyDigest };
  }

  #requireTimely({ createdMs, expiresMs }: SignatureInput): void {
    const nowMs = this.#now();
    if (expiresMs <= createdMs || expiresMs - createdMs > this.#windowMs) {
      throw new RefusedError(
        'auth.bad-window',
        `The signature must expire within ${this.#windowMs / 1000} s of when it was created.`,
      );
    }
    if (createdMs > nowMs + this.#clockSkewMs) {
      throw new RefusedError('auth.from-the-future', `The signature is not valid yet. ${CLOCK_ADVICE}`);
    }
    if (expiresMs < nowMs - this.#clockSkewMs) {
      throw new RefusedError('auth.expired', `The signature has expired. ${CLOCK_ADVICE}`);
    }
  }
}

const CLOCK_ADVICE = 'Compare your clock with the Date of this answer.';

function machineOf(key: ListedKey, keyId: string): Machine {
  return { kind: 'machine', role: key.role, id: key.id, keyId };
}

function coveredDigest(
  request: SignedRequest,
  input: SignatureInput,
  integrity: BodyIntegrity,
): Uint8Array | undefined {
  const covered = input.components.includes(DIGEST_COMPONENT);
  if (integrity === 'content-digest') {
    if (!covered || request.contentDigest === undefined) {
      throw new RefusedError(
        'auth.missing-component',
        'The signature must cover content-digest here, and the request must have it.',
      );
    }
    return parseContentDigest(request.contentDigest);
  }
  if (covered) {
    // Nobody checks it here; to take it would look as if somebody had.
    throw new RefusedError(
      'auth.unexpected-component',
      'The signature covers content-digest, and nothing here is checked against it. Leave it out.',
    );
  }
  return undefined;
}

async function requireSignature(request: SignedRequest, keys: PublicKeys): Promise<void> {
  const verify = createVerifier(publicKeyOf(keys), SIGNATURE_ALGORITHM);
  const holds = await httpbis
    .verifyMessage(
      {
        keyLookup: async () => ({ algs: [SIGNATURE_ALGORITHM], verify }),
        // The times were checked above, by one clock: the library's checks must not refuse what the skew allows.
        tolerance: Number.POSITIVE_INFINITY,
        // From what was received: the library would parse a URL, which turns /a/../b and /a/%2e%2e/b into /b.
        componentParser: (name) => [componentOf(request, name as SignedComponent)],
      },
      {
        method: request.method,
        url: 'http://unused.invalid/',
        headers: { signature: request.signature, 'signature-input': request.signatureInput },
      },
    )
    .catch(() => false);
  if (holds !== true) {
    throw new RefusedError(
      'auth.bad-signature',
      'The signature does not hold for this method, authority, path, query and digest. Behind a proxy, the server must ' +
        'know the authority that clients address.',
    );
  }
}

function componentOf(request: SignedRequest, name: SignedComponent): string {
  switch (name) {
    case '@method':
      return request.method;
    case '@authority':
      return request.authority;
    case '@path':
      return splitTarget(request.target).path;
    case '@query':
      return splitTarget(request.target).query;
    case 'content-digest':
      return request.contentDigest ?? '';
  }
}

function publicKeyOf(keys: PublicKeys): ReturnType<typeof createPublicKey> {
  const x = Buffer.from(keys.ed25519).toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}
