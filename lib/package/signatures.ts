/** DSSE over a header: what is signed, the block of signatures, and when it holds. */
import { createPublicKey, type KeyObject, verify as verifyWithKey } from 'node:crypto';
import { promisify } from 'node:util';
import { ml_dsa65 } from '@noble/post-quantum/ml-dsa.js';
import { z } from 'zod';
import { FormatError, ParameterError, VerificationError } from '../errors.js';
import { decodeCbor } from './cbor-decoding.js';
import { encodeCbor } from './cbor-encoding.js';
import {
  bytesOf,
  keyIdOf,
  type PublicKeys,
  publicKeysSchema,
  SIGNATURE_ALGORITHMS,
  SIGNATURE_BYTES,
  type SignatureAlgorithm,
} from './keys.js';
import type { SigningKey } from './signing-key.js';

const verifyEd25519 = promisify<null, Uint8Array, KeyObject, Uint8Array, boolean>(verifyWithKey);

/** DER of an Ed25519 public key up to its 32 bytes (RFC 8410 section 4). */
const ED25519_SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

const signatureBlockSchema = z
  .array(
    z.strictObject({
      // Any name: one that is not in the header is refused as an unexpected signature, not as bad CBOR.
      alg: z.string().max(64),
      keyId: bytesOf(32),
      sig: z.custom<Uint8Array>((value) => value instanceof Uint8Array, { error: 'must be a byte string' }),
    }),
  )
  .max(16);

export type SignatureBlock = z.infer<typeof signatureBlockSchema>;

/** What a signature speaks for: the payload's kind and the header's bytes, with what the header says of it. */
export interface SignedHeader {
  readonly kind: string;
  readonly headerBytes: Uint8Array;
  readonly algs: readonly SignatureAlgorithm[];
  readonly signer: Uint8Array;
}

export function payloadType(kind: string): string {
  return `application/vnd.tensorguard.${kind}+cbor`;
}

/**
 * DSSE's pre-authentication encoding (secure-systems-lab/dsse, protocol.md):
 * `"DSSEv1" SP LEN(type) SP type SP LEN(body) SP body`, lengths in bytes and ASCII decimal.
 */
export function preAuthenticationEncoding(type: string, body: Uint8Array): Uint8Array {
  const typeBytes = Buffer.from(type, 'utf8');
  return Uint8Array.from(
    Buffer.concat([
      Buffer.from(`DSSEv1 ${typeBytes.length} `, 'latin1'),
      typeBytes,
      Buffer.from(` ${body.length} `, 'latin1'),
      body,
    ]),
  );
}

/**
 * Signs a header with every algorithm of `signer`, and checks each signature once: a key store that
 * fails should be found here and not by every reader.
 *
 * @returns the signature block, encoded
 * @throws VerificationError `container.bad-signature`
 * @throws ParameterError `key.bad-public-key`, `key.bad-algorithms`, `key.wrong-id`
 */
export async function signHeader(
  kind: string,
  headerBytes: Uint8Array,
  signer: SigningKey,
): Promise<Uint8Array> {
  checkArguments(signer.publicKeys, signer.algorithms);
  if (Buffer.compare(signer.keyId, keyIdOf(signer.publicKeys)) !== 0) {
    throw new ParameterError('key.wrong-id', 'the signing key has an id that is not that of its public keys');
  }
  const message = preAuthenticationEncoding(payloadType(kind), headerBytes);
  const block: SignatureBlock = [];
  for (const alg of signer.algorithms) {
    const sig = await signer.sign(alg, message);
    if (!(await isValid(alg, message, sig, signer.publicKeys))) {
      throw new VerificationError(
        'container.bad-signature',
        `the signing key returned an ${alg} signature that its own public key refuses; check the key store`,
      );
    }
    block.push({ alg, keyId: signer.keyId, sig });
  }
  return encodeCbor(block);
}

/** @throws FormatError `container.not-canonical`, `container.bad-signature-block` */
export function decodeSignatureBlock(bytes: Uint8Array): SignatureBlock {
  const parsed = signatureBlockSchema.safeParse(decodeCbor(bytes, 'the signature block'));
  if (!parsed.success) {
    throw new FormatError(
      'container.bad-signature-block',
      'the signature block must be an array of {alg, keyId (32 bytes), sig}',
    );
  }
  return parsed.data;
}

async function isValid(
  alg: SignatureAlgorithm,
  message: Uint8Array,
  sig: Uint8Array,
  keys: PublicKeys,
): Promise<boolean> {
  if (sig.length !== SIGNATURE_BYTES[alg]) return false;
  if (alg === 'ed25519') {
    const der = Buffer.concat([ED25519_SPKI_PREFIX, keys.ed25519]);
    return verifyEd25519(null, message, createPublicKey({ key: der, format: 'der', type: 'spki' }), sig);
  }
  const key = keys['ml-dsa-65'];
  return key !== undefined && ml_dsa65.verify(sig, message, key);
}

function checkArguments(publicKeys: PublicKeys, required: readonly string[]): void {
  const parsed = publicKeysSchema.safeParse(publicKeys);
  if (!parsed.success) {
    const reason = parsed.error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`).join('; ');
    throw new ParameterError('key.bad-public-key', `the public keys are malformed: ${reason}`);
  }
  const unknown = required.find((alg) => !(SIGNATURE_ALGORITHMS as readonly string[]).includes(alg));
  if (unknown !== undefined) {
    throw new ParameterError('key.bad-algorithms', `no signature algorithm is named "${unknown}"`);
  }
  if (required.length === 0) {
    throw new ParameterError(
      'key.bad-algorithms',
      'name at least one signature algorithm that must be there',
    );
  }
}

/** The block has one entry for each algorithm of the header, in its order, and nothing else. */
function checkBlockShape(header: SignedHeader, block: SignatureBlock): void {
  const algs: readonly string[] = header.algs;
  const seen = new Set<string>();
  for (const { alg, keyId } of block) {
    if (!algs.includes(alg) || seen.has(alg)) {
      throw new VerificationError(
        'container.unexpected-signature',
        `there is ${seen.has(alg) ? 'a second' : 'an'} "${alg}" signature that the signed header does not announce`,
      );
    }
    seen.add(alg);
    if (Buffer.compare(keyId, header.signer) !== 0) {
      throw new VerificationError(
        'container.wrong-signer',
        `the ${alg} signature names a key other than the header's`,
      );
    }
  }
  const missing = algs.find((alg) => !seen.has(alg));
  if (missing !== undefined) {
    throw new VerificationError(
      'container.signature-stripped',
      `the signed header announces an ${missing} signature, and it is not there: somebody removed it`,
    );
  }
  if (block.some(({ alg }, i) => alg !== algs[i])) {
    throw new FormatError(
      'container.not-canonical',
      'the signatures do not stand in the order of the header',
    );
  }
}

/**
 * Verifies that the owner of `publicKeys` signed the header, with at least `requiredAlgorithms`, and
 * that the block holds exactly the signatures that the header announces.
 *
 * @throws VerificationError `container.wrong-signer`, `.algorithm-missing`, `.unexpected-signature`,
 *   `.signature-stripped`, `.bad-signature`
 * @throws FormatError `container.not-canonical`
 * @throws ParameterError `key.bad-public-key`, `key.bad-algorithms`
 */
export async function verifySignatures(
  header: SignedHeader,
  block: SignatureBlock,
  publicKeys: PublicKeys,
  requiredAlgorithms: readonly SignatureAlgorithm[],
): Promise<void> {
  checkArguments(publicKeys, requiredAlgorithms);
  if (Buffer.compare(header.signer, keyIdOf(publicKeys)) !== 0) {
    throw new VerificationError(
      'container.wrong-signer',
      `the ${header.kind} is signed by key ${Buffer.from(header.signer).toString('hex').slice(0, 16)}, not by the one expected`,
    );
  }
  const absent = requiredAlgorithms.find((alg) => !header.algs.includes(alg));
  if (absent !== undefined) {
    throw new VerificationError(
      'container.algorithm-missing',
      `the ${header.kind} is not signed with ${absent}, which the roster requires; sign it again with such a key`,
    );
  }
  checkBlockShape(header, block);
  const message = preAuthenticationEncoding(payloadType(header.kind), header.headerBytes);
  for (const [i, alg] of header.algs.entries()) {
    if (!(await isValid(alg, message, block[i]?.sig ?? new Uint8Array(), publicKeys))) {
      throw new VerificationError(
        'container.bad-signature',
        `the ${alg} signature of the ${header.kind} does not hold: the header was changed after it was signed`,
      );
    }
  }
}
