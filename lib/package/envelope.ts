/** The envelope: everything of a file but its sections. It can be checked and passed on without them. */
import { FormatError } from '../errors.js';
import { fingerprintOf } from './fingerprint.js';
import { type Header, parseHeader } from './header.js';
import type { PublicKeys, SignatureAlgorithm } from './keys.js';
import { decodePrefix, PREFIX_BYTES } from './layout.js';
import type { BodyOf, MessageKind } from './messages/registry.js';
import { decodeSignatureBlock, type SignatureBlock, verifySignatures } from './signatures.js';

export class Envelope<K extends MessageKind> {
  readonly kind: K;
  /** Well formed, and not to be trusted before {@link verify} has returned. */
  readonly header: Header<K>;
  readonly headerBytes: Uint8Array;
  /** SHA-256 of the header, 32 bytes. */
  readonly fingerprint: Uint8Array;
  readonly signatures: SignatureBlock;
  /** Magic to signature block, as they stand in the file. */
  readonly envelopeBytes: Uint8Array;

  /**
   * @param bytes the envelope, exactly; it is kept, so pass memory that nobody else writes to
   * @throws FormatError `container.*`
   */
  constructor(bytes: Uint8Array, expected: K | undefined) {
    const prefix = decodePrefix(bytes.subarray(0, PREFIX_BYTES), bytes.length);
    const headerEnd = PREFIX_BYTES + prefix.headerBytes;
    this.envelopeBytes = bytes;
    this.headerBytes = bytes.subarray(PREFIX_BYTES, headerEnd);
    this.header = parseHeader(this.headerBytes, prefix.version, expected);
    this.kind = this.header.kind;
    this.signatures = decodeSignatureBlock(bytes.subarray(headerEnd, headerEnd + prefix.signatureBlockBytes));
    this.fingerprint = fingerprintOf(this.headerBytes);
  }

  get body(): BodyOf<K> {
    return this.header.body;
  }

  /**
   * Verifies that the owner of `publicKeys` signed this header, with every algorithm it announces, all of
   * `requiredAlgorithms` among them, and that no signature was added or removed.
   *
   * It says nothing about the sections; their digests are checked as they are read.
   *
   * @throws VerificationError `container.wrong-signer`, `.algorithm-missing`, `.unexpected-signature`,
   *   `.signature-stripped`, `.bad-signature`
   */
  async verify(publicKeys: PublicKeys, requiredAlgorithms: readonly SignatureAlgorithm[]): Promise<void> {
    const { kind, headerBytes, header } = this;
    const signed = { kind, headerBytes, algs: header.algs, signer: header.signer };
    await verifySignatures(signed, this.signatures, publicKeys, requiredAlgorithms);
  }
}

/**
 * Reads an envelope that stands alone, such as those an aggregate carries.
 *
 * @param bytes the envelope and nothing after it; they are copied
 * @throws FormatError `container.*`, `container.trailing-bytes` where anything follows
 */
export function readEnvelope<K extends MessageKind>(bytes: Uint8Array, kind: K): Envelope<K> {
  const prefix = decodePrefix(bytes.subarray(0, PREFIX_BYTES), bytes.length);
  const length = PREFIX_BYTES + prefix.headerBytes + prefix.signatureBlockBytes;
  if (bytes.length !== length) {
    throw new FormatError(
      'container.trailing-bytes',
      `the envelope has ${length} bytes, and ${bytes.length - length} more follow; pass exactly the envelope`,
    );
  }
  return new Envelope(Uint8Array.from(bytes), kind);
}
