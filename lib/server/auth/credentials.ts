/** From the headers of a request to the actor behind it. */
import type { IncomingHttpHeaders } from 'node:http';
import { RefusedError } from '../../errors.js';
import type { Actor } from './actor.js';
import type { SignatureVerifier } from './http-signatures.js';
import type { BodyIntegrity } from './signature-profile.js';
import type { BearerTokens } from './tokens.js';

/** Longer than any token, and short enough to cost nothing. */
const MAX_AUTHORIZATION_CHARACTERS = 128;
const BEARER = /^Bearer ([^ ]+)$/i;

export interface CredentialsRequest {
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  readonly headers: IncomingHttpHeaders;
}

export interface Identified {
  readonly actor: Actor;
  /** SHA-256 that the body must have, 32 bytes. */
  readonly bodyDigest: Uint8Array | undefined;
}

export class Authenticator {
  constructor(
    private readonly signatures: SignatureVerifier,
    private readonly tokens: BearerTokens,
  ) {}

  /** @throws RefusedError `auth.*`, `roster.client-*`; RetryLaterError */
  async identify(request: CredentialsRequest, integrity: BodyIntegrity): Promise<Identified> {
    const { headers } = request;
    const signatureInput = single(headers['signature-input']);
    const signature = single(headers['signature']);
    const { authorization } = headers;
    const signed = signatureInput !== undefined || signature !== undefined;
    if (signed && authorization !== undefined) {
      throw new RefusedError('auth.two-credentials', 'Send a signature or a bearer token, not both.');
    }
    if (authorization !== undefined) {
      return { actor: await this.#person(authorization), bodyDigest: undefined };
    }
    if (!signed) {
      throw new RefusedError(
        'auth.required',
        'This needs a signed request (machines) or a bearer token (people).',
      );
    }
    const { machine, bodyDigest } = await this.signatures.verify(
      {
        method: request.method,
        target: request.target,
        authority: request.authority,
        signatureInput: signatureInput ?? '',
        signature: signature ?? '',
        contentDigest: single(headers['content-digest']),
      },
      integrity,
    );
    return { actor: machine, bodyDigest };
  }

  async #person(authorization: string): Promise<Actor> {
    const short = authorization.length <= MAX_AUTHORIZATION_CHARACTERS;
    const [, token] = (short ? BEARER.exec(authorization) : null) ?? [];
    if (token === undefined) {
      throw new RefusedError('auth.bad-token', 'Authorization must be "Bearer tgt_...".');
    }
    return this.tokens.verify(token);
  }
}

/** Node joins repeated fields of these names by commas, which their grammars here refuse. */
function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value;
}
