/** Signs requests as lib/server/auth verifies them. */
import { randomBytes } from 'node:crypto';
import { httpbis } from 'http-message-signatures';
import { hex } from '../../package/messages/common.js';
import type { SigningKey } from '../../package/signing-key.js';
import {
  DEFAULT_WINDOW_MS,
  DIGEST_COMPONENT,
  NONCE_BYTES,
  REQUEST_COMPONENTS,
  SIGNATURE_ALGORITHM,
  SIGNATURE_LABEL,
  SIGNATURE_PARAMETERS,
  SIGNATURE_TAG,
  splitTarget,
} from '../../server/auth/signature-profile.js';

export interface RequestToSign {
  readonly method: string;
  /** Path and query, as they are sent. */
  readonly target: string;
  readonly authority: string;
  /** Of the body, where the path does not name it. */
  readonly contentDigest?: string | undefined;
}

/** What the signature takes of a key: an HSM's is as good. */
export type RequestSigningKey = Pick<SigningKey, 'keyId' | 'sign'>;

/** @returns the headers to send along, `Content-Digest` among them where there is one */
export async function signRequest(
  key: RequestSigningKey,
  request: RequestToSign,
  nowMs: number,
  windowMs = DEFAULT_WINDOW_MS,
): Promise<Record<string, string>> {
  const { path, query } = splitTarget(request.target);
  const { contentDigest } = request;
  const values: Readonly<Record<string, string>> = {
    '@method': request.method,
    '@authority': request.authority,
    '@path': path,
    '@query': query,
    ...(contentDigest !== undefined && { [DIGEST_COMPONENT]: contentDigest }),
  };
  const signed = await httpbis.signMessage(
    {
      name: SIGNATURE_LABEL,
      fields: [...REQUEST_COMPONENTS, ...(contentDigest === undefined ? [] : [DIGEST_COMPONENT])],
      params: [...SIGNATURE_PARAMETERS],
      paramValues: {
        created: new Date(nowMs),
        expires: new Date(nowMs + windowMs),
        nonce: randomBytes(NONCE_BYTES).toString('base64url'),
        keyid: hex(key.keyId),
        alg: SIGNATURE_ALGORITHM,
        tag: SIGNATURE_TAG,
      },
      key: { sign: async (base) => Buffer.from(await key.sign(SIGNATURE_ALGORITHM, base)) },
      componentParser: (name) => [values[name] ?? ''],
    },
    {
      method: request.method,
      url: 'http://unused.invalid/',
      headers: contentDigest === undefined ? {} : { 'content-digest': contentDigest },
    },
  );
  return Object.fromEntries(Object.entries(signed.headers).map(([name, value]) => [name, String(value)]));
}
